// Every environment's identity reads the registry; if models come from the environment, it also writes.
// https://learn.microsoft.com/azure/machine-learning/how-to-manage-registries: Reader is enough to use assets.

import { roles } from 'roles.bicep'

param registryName string

@description('Principal id.')
param identity string

@description('Whether the identity may also write assets.')
param writes bool

var names = concat(['Reader'], writes ? ['AzureML Registry User'] : [])

resource registry 'Microsoft.MachineLearningServices/registries@2024-04-01' existing = {
  name: registryName
}

resource using 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for name in names: {
    scope: registry
    name: guid(registry.id, identity, roles[name])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[name])
      principalId: identity
      principalType: 'ServicePrincipal'
    }
  }
]

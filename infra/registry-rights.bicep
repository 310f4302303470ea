// Where models come from, the identity writes to the registry; everywhere else it reads.
// https://learn.microsoft.com/azure/machine-learning/how-to-manage-registries: Reader is enough to use assets.

import { roles } from 'roles.bicep'

param registryName string

@description('Principal id.')
param identity string

@description('Whether the identity may also write assets.')
param writes bool

var role = writes ? roles['AzureML Registry User'] : roles.Reader

resource registry 'Microsoft.MachineLearningServices/registries@2024-04-01' existing = {
  name: registryName
}

resource using 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: registry
  name: guid(registry.id, identity, role)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: identity
    principalType: 'ServicePrincipal'
  }
}

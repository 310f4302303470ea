// An environment's identity works in its own workspace: it may do everything there but change the workspace and its
// computes.

import { roles } from 'roles.bicep'

param workspaceName string

@description('Principal id.')
param identity string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource working 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, identity, roles['AzureML Data Scientist'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['AzureML Data Scientist'])
    principalId: identity
    principalType: 'ServicePrincipal'
  }
}

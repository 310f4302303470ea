// An environment that determines a model's author itself may read the workspace that models come from, and nothing
// else.

import { roles } from 'roles.bicep'

param workspaceName string

@description('Principal id.')
param identity string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource reading 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, identity, roles.Reader)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.Reader)
    principalId: identity
    principalType: 'ServicePrincipal'
  }
}

// An environment that finds out itself who made a model may read the workspace that models come from, and nothing more.

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

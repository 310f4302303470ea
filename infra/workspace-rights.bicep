// An environment's identity works in its own workspace: it may do everything there but change the workspace and its
// computes. Data Scientist lists nothing but actions of machine learning: Reader lets it see its own rights, and who gets
// the workspace's events.

import { roles } from 'roles.bicep'

param workspaceName string

@description('Principal id.')
param identity string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource working 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in ['AzureML Data Scientist', 'Reader']: {
    scope: workspace
    name: guid(workspace.id, identity, roles[role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
      principalId: identity
      principalType: 'ServicePrincipal'
    }
  }
]

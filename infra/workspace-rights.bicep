// An environment's identity works in its own workspace, where it may do everything except change the workspace and its
// computes. Data Scientist covers only machine learning actions. Reader lets the identity see its own rights and the
// workspace's event subscriptions. Monitoring Reader lets it see the live figures of endpoints during a rollout.

import { roles } from 'roles.bicep'

param workspaceName string

@description('Principal id.')
param identity string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource working 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in ['AzureML Data Scientist', 'Monitoring Reader', 'Reader']: {
    scope: workspace
    name: guid(workspace.id, identity, roles[role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
      principalId: identity
      principalType: 'ServicePrincipal'
    }
  }
]

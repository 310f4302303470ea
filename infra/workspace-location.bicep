// The region of a workspace. A separate module, since a resource's location must be known before its deployment.

param workspaceName string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

output location string = workspace.location

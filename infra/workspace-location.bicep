// Where a workspace is. A module of its own, since only what is known before a deployment can be a resource's location.

param workspaceName string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

output location string = workspace.location

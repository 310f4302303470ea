// Before a deployment, an environment's identity reads how much of the subscription's quota is left in its region, and
// how many cores a size has. Quotas belong to the subscription, so no role on the workspace reaches them. This role has
// these two rights and no other.
// https://learn.microsoft.com/azure/role-based-access-control/permissions/ai-machine-learning

targetScope = 'subscription'

@description('Principal id.')
param identity string

var here = subscription().id

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, 'mlpromote quota reader')
  properties: {
    roleName: 'mlpromote quota reader (${subscription().subscriptionId})'
    description: 'Reads the quota of Azure Machine Learning, its use, and the sizes of virtual machines.'
    type: 'CustomRole'
    permissions: [
      {
        actions: [
          'Microsoft.MachineLearningServices/locations/usages/read'
          'Microsoft.MachineLearningServices/locations/vmSizes/read'
        ]
      }
    ]
    assignableScopes: [here]
  }
}

resource reading 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(here, identity, 'mlpromote quota reader')
  properties: {
    roleDefinitionId: role.id
    principalId: identity
    principalType: 'ServicePrincipal'
  }
}

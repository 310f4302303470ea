// Scoring code is uploaded to the workspace's storage account. Where that takes keys, the workspace hands one out; where
// it does not, the identity needs a right of its own there.

import { roles } from 'roles.bicep'

param storageAccountName string

@description('Principal id.')
param identity string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource uploading 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, identity, roles['Storage Blob Data Contributor'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Contributor'])
    principalId: identity
    principalType: 'ServicePrincipal'
  }
}

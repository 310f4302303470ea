// The app looks in the workspace's storage account whether a model's files are there. Where the account takes keys, the
// workspace hands one out; where it does not, the identity reads with a right of its own. Scoring code is uploaded with a
// signature of the workspace's own identity, so nothing has to be written.

import { roles } from 'roles.bicep'

param storageAccountName string

@description('Principal id.')
param identity string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource reading 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, identity, roles['Storage Blob Data Reader'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Reader'])
    principalId: identity
    principalType: 'ServicePrincipal'
  }
}

// The app checks in the workspace's storage account whether a model's files exist. If the account accepts keys, the
// workspace provides one; if not, the identity needs its own right to read. Scoring code is uploaded with a signature
// of the workspace's own identity, so the identity need not write.

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

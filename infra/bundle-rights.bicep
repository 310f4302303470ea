// A worker's identity reads published bundles, and cannot write them.

import { roles } from 'roles.bicep'

param storageAccountName string

@description('Principal id.')
param identity string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource bundles 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: blobs
  name: 'bundles'
}

resource reading 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: bundles
  name: guid(bundles.id, identity, roles['Storage Blob Data Reader'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Reader'])
    principalId: identity
    principalType: 'ServicePrincipal'
  }
}

// The app's own storage account: the host's leases, the app's package, and in its tables what the app keeps: promotions
// in the coordinator's, approvals in that of an environment which takes its own. It takes no keys.

import { roles } from 'roles.bicep'

param name string
param location string
param tags object

@description('Principal id of the app\'s identity.')
param user string

@description('Whether promotions or approvals are kept here.')
param hasTables bool

var userRoles = concat(['Storage Blob Data Owner'], hasTables ? ['Storage Table Data Contributor'] : [])

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'app-package'
}

resource rights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in userRoles: {
    scope: account
    name: guid(account.id, user, roles[role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
      principalId: user
      principalType: 'ServicePrincipal'
    }
  }
]

output id string = account.id
output name string = account.name
output tables string = account.properties.primaryEndpoints.table

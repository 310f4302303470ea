// The app's own storage account: the host's leases, the app's package, and tables for promotions (the coordinator's
// app) or approvals (the app of an environment that takes its own). It does not accept keys. Blobs can be restored for
// a while; tables cannot.

import { roles } from 'roles.bicep'
import { networkRules } from 'types.bicep'

param name string
param location string
param tags object

@description('Principal id of the app\'s identity.')
param user string

@description('Whether promotions or approvals are stored here.')
param hasTables bool

@description('Whether bundles are published here.')
param hasBundles bool

@description('Days for which deleted blobs and containers, and earlier versions of blobs, are kept; 0 turns this off.')
param retentionDays int

@description('Whether earlier versions of blobs are kept.')
param versions bool

@description('Network access.')
param network networkRules

@description('ARM id of the Log Analytics workspace for its logs; empty for none.')
param logs string

@description('Whether each read is also logged.')
param logsReading bool

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
    publicNetworkAccess: network.publicAccess
    networkAcls: {
      defaultAction: network.publicAccess == 'Disabled' ? 'Deny' : network.defaultAction
      bypass: 'AzureServices' // Event Grid writes what it cannot deliver
      ipRules: map(network.addresses, address => { value: address, action: 'Allow' })
      virtualNetworkRules: map(network.subnets, subnet => { id: subnet, action: 'Allow' })
    }
  }
}

var retention = retentionDays == 0 ? { enabled: false } : { enabled: true, days: retentionDays }

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: retention
    containerDeleteRetentionPolicy: retention
    isVersioningEnabled: versions
  }
}

// The host keeps rewriting the state of its timers: without this rule, each write would leave a version for good.
resource cleaning 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = if (versions) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'remove-earlier-versions'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: retentionDays } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'app-package'
}

// The app's own identity may write all blobs here; workers of other apps may read these.
resource bundles 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = if (hasBundles) {
  parent: blobs
  name: 'bundles'
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

var logged = map(concat(['StorageWrite', 'StorageDelete'], logsReading ? ['StorageRead'] : []), category => {
  category: category
  enabled: true
})

resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(logs)) {
  scope: blobs
  name: 'mlpromote'
  properties: {
    workspaceId: logs
    logs: logged
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

resource tableLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (hasTables && (!empty(logs))) {
  scope: tables
  name: 'mlpromote'
  properties: {
    workspaceId: logs
    logs: logged
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

output id string = account.id
output name string = account.name
output blobs string = account.properties.primaryEndpoints.blob
output tables string = account.properties.primaryEndpoints.table

// The Function App: Flex Consumption, Python, and settings without a secret.

import { networkRules } from 'types.bicep'

param name string
param location string
param tags object

@description('ARM ids of the app\'s identities.')
param identities string[]

@description('Client id of the identity for the app\'s own storage account and telemetry.')
param clientId string

param storageAccountName string

@description('Connection string of Application Insights.')
param connectionString string

param pythonVersion string
param maximumInstanceCount int

@description('Network access to the app, and the subnet from which it calls.')
param network networkRules

@description('ARM id of the Log Analytics workspace for its logs; empty for none.')
param logs string

@description('Settings that differ from app to app.')
param settings object

@description('The settings that promotion.yml uses: {name, workspace, identity, source} each, with the name in capitals.')
param environments array

// Event Grid delivers to /api/events from addresses that only this tag covers, so public access stays open for them.
var eventGrid = [{ name: 'event-grid', ipAddress: 'AzureEventGrid', tag: 'ServiceTag', action: 'Allow', priority: 100 }]
var people = [
  for (address, index) in network.addresses: {
    name: 'address-${index}'
    ipAddress: contains(address, '/') ? address : '${address}/32'
    action: 'Allow'
    priority: 200 + index
  }
]
var neighbours = [
  for (subnet, index) in network.subnets: {
    name: 'subnet-${index}'
    vnetSubnetResourceId: subnet
    action: 'Allow'
    priority: 400 + index
  }
]

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'mlpromote' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: toObject(identities, id => id, id => {})
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(network.appSubnet) ? null : network.appSubnet
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}app-package'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identities[0]
          }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: { instanceMemoryMB: 2048, maximumInstanceCount: maximumInstanceCount }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      ipSecurityRestrictionsDefaultAction: network.defaultAction
      ipSecurityRestrictions: network.defaultAction == 'Deny' ? concat(eventGrid, people, neighbours) : []
      scmIpSecurityRestrictionsDefaultAction: network.defaultAction
      scmIpSecurityRestrictions: network.defaultAction == 'Deny' ? concat(people, neighbours) : []
    }
  }
}

resource appLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(logs)) {
  scope: app
  name: 'mlpromote'
  properties: {
    workspaceId: logs
    logs: [{ category: 'FunctionAppLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    {
      AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
      AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: clientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString
      // As many threads as concurrent messages in host.json. By default a process has 4 threads plus one per core.
      PYTHON_THREADPOOL_THREAD_COUNT: '16'
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
    },
    settings,
    toObject(environments, each => '${each.name}_WORKSPACE', each => each.workspace),
    toObject(environments, each => '${each.name}_IDENTITY', each => each.identity),
    toObject(filter(environments, each => !empty(each.source)), each => '${each.name}_SOURCE_WORKSPACE', each => each.source)
  )
}

// Publishing with passwords stays off.
resource ftpPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scmPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

output id string = app.id
output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'

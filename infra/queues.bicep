// The Service Bus namespace and its queues: promotion-events, and for each environment steps-<environment> and
// reports-<environment>.

import { networkRules } from 'types.bicep'

param namespaceName string
param location string
param tags object

@description('Names of the queues.')
param names string[]

@description('Standard or Premium.')
param tier string

@description('Network access; only with the Premium tier.')
param network networkRules

@description('ARM id of the Log Analytics workspace for its logs; empty for none.')
param logs string

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: namespaceName
  location: location
  tags: tags
  sku: { name: tier, tier: tier }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource rules 'Microsoft.ServiceBus/namespaces/networkRuleSets@2024-01-01' = if (tier == 'Premium') {
  parent: namespace
  name: 'default'
  properties: {
    publicNetworkAccess: network.publicAccess
    defaultAction: network.publicAccess == 'Disabled' ? 'Deny' : network.defaultAction
    trustedServiceAccessEnabled: false
    ipRules: map(network.addresses, address => { ipMask: address, action: 'Allow' })
    virtualNetworkRules: map(network.subnets, subnet => { subnet: { id: subnet }, ignoreMissingVnetServiceEndpoint: false })
  }
}

resource namespaceLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(logs)) {
  scope: namespace
  name: 'mlpromote'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

// Message ids are deterministic, so a message that is sent again within the window is dropped. The window of scheduled
// messages starts when they are sent. A duplicate that arrives later is stale, which the app detects itself.
resource queues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [
  for name in names: {
    parent: namespace
    name: name
    properties: {
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: 'PT10M'
      maxDeliveryCount: 10
      lockDuration: 'PT1M'
      deadLetteringOnMessageExpiration: true
      defaultMessageTimeToLive: 'P14D'
      maxSizeInMegabytes: 1024
    }
  }
]

// The Service Bus namespace and its queues: promotion-events, and for each environment steps-<environment> and
// reports-<environment>.

param namespaceName string
param location string
param tags object

@description('Names of the queues.')
param names string[]

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: namespaceName
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

// Message ids are deterministic, so that what is sent once more within the window is dropped. Scheduled messages count
// from when they were sent. An outcome that comes later is stale, which the app sees by itself.
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

// A workspace's system topic, and the app's subscription to it. A workspace can have only one system topic: give the
// name of an existing one.

param workspaceName string

@description('Region of the workspace.')
param location string

@description('Name of the system topic.')
param topicName string = 'evgs-${workspaceName}'

@description('Whether models come from here: their registrations are delivered, too.')
param registersModels bool

param functionAppId string

@description('The address at which the app receives events, with its key.')
@secure()
param webhook string

param deadLetterStorageId string
param deadLetterIdentityId string

@description('ARM id of the Log Analytics workspace that logs failed deliveries; empty for none.')
param logs string = ''

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' = {
  name: topicName
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${deadLetterIdentityId}': {} }
  }
  properties: {
    source: workspace.id
    topicType: 'Microsoft.MachineLearningServices.Workspaces'
  }
}

resource eventSubscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = {
  parent: topic
  name: 'mlpromote-${uniqueString(functionAppId)}'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      // Not AzureFunction: then the host answers 500 to a malformed event, which is delivered again for a day.
      endpointType: 'WebHook'
      properties: {
        endpointUrl: webhook
        maxEventsPerBatch: 1
      }
    }
    filter: {
      // A job that fails or is cancelled raises no RunCompleted.
      includedEventTypes: concat(
        registersModels ? ['Microsoft.MachineLearningServices.ModelRegistered'] : [],
        [
          'Microsoft.MachineLearningServices.RunCompleted'
          'Microsoft.MachineLearningServices.RunStatusChanged'
        ]
      )
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: { type: 'UserAssigned', userAssignedIdentity: deadLetterIdentityId }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: deadLetterStorageId
          blobContainerName: 'event-dead-letters'
        }
      }
    }
  }
}

resource topicLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(logs)) {
  scope: topic
  name: 'mlpromote-${uniqueString(functionAppId)}'
  properties: {
    workspaceId: logs
    logs: [{ category: 'DeliveryFailures', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

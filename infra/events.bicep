// Subscribes the app to the workspaces of its environments. A separate deployment after the code's: Event Grid
// validates the address, and refuses one that does not answer yet.

import { environment } from 'types.bicep'

targetScope = 'subscription'

@description('The environments whose events the app gets.')
param sources environment[]

@description('ARM id of the Function App.')
param functionAppId string

@description('The address at which the app receives events, with its key.')
@secure()
param webhook string

@description('ARM id of the storage account for events that cannot be delivered.')
param deadLetterStorageId string

@description('ARM id of the identity that writes them.')
param deadLetterIdentityId string

@description('ARM id of the Log Analytics workspace that logs failed deliveries; empty for none.')
param logs string

module locations 'workspace-location.bicep' = [
  for each in sources: {
    name: 'location-${uniqueString(functionAppId, each.name)}'
    scope: resourceGroup(split(each.workspace, '/')[2], split(each.workspace, '/')[4])
    params: { workspaceName: last(split(each.workspace, '/')) }
  }
]

module subscriptions 'workspace-events.bicep' = [
  for (each, index) in sources: {
    name: 'events-${uniqueString(functionAppId, each.name)}'
    scope: resourceGroup(split(each.workspace, '/')[2], split(each.workspace, '/')[4])
    params: {
      workspaceName: last(split(each.workspace, '/'))
      location: locations[index].outputs.location
      registersModels: each.source
      functionAppId: functionAppId
      webhook: webhook
      deadLetterStorageId: deadLetterStorageId
      deadLetterIdentityId: deadLetterIdentityId
      logs: logs
    }
  }
]

module alerts 'endpoint-alerts.bicep' = [
  for each in sources: if (!empty(each.?alertEndpoints ?? [])) {
    name: 'alerts-${uniqueString(functionAppId, each.name)}'
    scope: resourceGroup(split(each.workspace, '/')[2], split(each.workspace, '/')[4])
    params: {
      workspaceName: last(split(each.workspace, '/'))
      endpoints: each.?alertEndpoints ?? []
      errorsPerMinute: each.?alertErrorsPerMinute ?? 1
      latencyMilliseconds: each.?alertLatencyMilliseconds ?? 1000
      functionAppId: functionAppId
      webhook: webhook
    }
  }
]

// The topic on which changes of promotions are published as CloudEvents.

import { roles } from 'roles.bicep'
import { networkRules } from 'types.bicep'

param name string
param location string
param tags object

@description('Principal id of the publisher.')
param publisher string

@description('Network access. Event Grid does not support subnets: the app publishes through a private endpoint, or from an allowed address.')
param network networkRules

@description('ARM id of the Log Analytics workspace for its logs; empty for none.')
param logs string

resource topic 'Microsoft.EventGrid/topics@2022-06-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    publicNetworkAccess: network.publicAccess
    // If there are rules, only they admit callers; without rules, everybody may call.
    inboundIpRules: network.defaultAction == 'Deny'
      ? map(network.addresses, address => { ipMask: address, action: 'Allow' })
      : []
  }
}

resource topicLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(logs)) {
  scope: topic
  name: 'mlpromote'
  properties: {
    workspaceId: logs
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource publishing 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: topic
  name: guid(topic.id, publisher, roles['EventGrid Data Sender'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['EventGrid Data Sender'])
    principalId: publisher
    principalType: 'ServicePrincipal'
  }
}

output endpoint string = topic.properties.endpoint

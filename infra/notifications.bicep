// The topic on which changes of promotions are published, as CloudEvents, for whoever subscribes to it.

import { roles } from 'roles.bicep'
import { networkRules } from 'types.bicep'

param name string
param location string
param tags object

@description('Principal id of who publishes.')
param publisher string

@description('Who may reach it. Event Grid knows no subnets: the app publishes through a private endpoint, or from an address that is allowed.')
param network networkRules

@description('ARM id of the Log Analytics workspace for its logs; empty: nowhere.')
param logs string

resource topic 'Microsoft.EventGrid/topics@2022-06-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    publicNetworkAccess: network.publicAccess
    // Where there are rules, only they allow; without any, everybody may call.
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

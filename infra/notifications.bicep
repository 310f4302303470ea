// The topic on which changes of promotions are published, as CloudEvents, for whoever subscribes to it.

import { roles } from 'roles.bicep'

param name string
param location string
param tags object

@description('Principal id of who publishes.')
param publisher string

resource topic 'Microsoft.EventGrid/topics@2022-06-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
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

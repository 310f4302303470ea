// Rights of one identity on individual queues, never on the namespace. The namespace's owner can also deploy this file
// alone, if the deployer of a worker may not assign roles there.

import { roles } from 'roles.bicep'

param namespaceName string

@description('Principal id.')
param identity string

@description('Queues to receive from.')
param receives string[]

@description('Queues to send to.')
param sends string[]

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource received 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for name in receives: {
    parent: namespace
    name: name
  }
]

resource sent 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for name in sends: {
    parent: namespace
    name: name
  }
]

resource receiving 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in receives: {
    scope: received[index]
    name: guid(received[index].id, identity, roles['Azure Service Bus Data Receiver'])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Azure Service Bus Data Receiver'])
      principalId: identity
      principalType: 'ServicePrincipal'
    }
  }
]

resource sending 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in sends: {
    scope: sent[index]
    name: guid(sent[index].id, identity, roles['Azure Service Bus Data Sender'])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Azure Service Bus Data Sender'])
      principalId: identity
      principalType: 'ServicePrincipal'
    }
  }
]

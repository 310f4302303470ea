// Everything that the app promotes between, for somebody who has none of it: a small workspace per environment, and a
// registry. In the app's own resource group, so `azd down` deletes it. For trying out, not for production: the network
// is open, and one person can have every role.

targetScope = 'resourceGroup'

param location string
param tags object

@description('The environments, with the workspaces to create: {name, workspace, source}.')
param environments array

param registryName string

@description('Object id of the Entra ID group of the data scientists; empty for none.')
param dataScientists string

@description('Object id of the Entra ID group of the machine learning engineers; empty for none.')
param machineLearningEngineers string

@description('ARM id of the Log Analytics workspace behind Application Insights.')
param logs string

@description('Size of the nodes that train, and of those alone: a deployment names its own.')
param trainingSize string = 'Standard_DS2_v2'

// Everybody sees which version of a model came from where. Only the app writes to the registry.
var readers = filter([dataScientists, machineLearningEngineers], group => !empty(group))

module registry 'br/public:avm/res/machine-learning-services/registry:0.1.1' = {
  name: 'sandbox-registry'
  params: {
    name: registryName
    location: location
    tags: tags
    publicNetworkAccess: 'Enabled'
    acrSku: 'Premium' // the only one that a registry can have
    storageAccountType: 'Standard_LRS'
    storageAccountHnsEnabled: false // as the Azure CLI creates it
    enableTelemetry: false
    roleAssignments: map(readers, group => {
      roleDefinitionIdOrName: 'Reader'
      principalId: group
      principalType: 'Group'
    })
  }
}

module workspaces 'sandbox-workspace.bicep' = [
  for each in environments: {
    name: 'sandbox-${uniqueString(registryName, each.name)}'
    params: {
      name: last(split(each.workspace, '/'))
      environmentName: each.name
      location: location
      tags: tags
      people: each.source ? dataScientists : machineLearningEngineers
      logs: logs
      trainingSize: each.source ? trainingSize : ''
    }
  }
]

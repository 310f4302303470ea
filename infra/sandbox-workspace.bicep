// A small workspace of the sandbox, with what Azure ML requires beside it. It has no container registry: Azure ML creates
// one, in the same resource group, when it first builds an image.

param name string
param environmentName string
param location string
param tags object

@description('Object id of the Entra ID group that works here; empty for none.')
param people string

@description('ARM id of the Log Analytics workspace behind Application Insights.')
param logs string

@description('Size of the nodes of the cluster cpu-cluster; empty for no cluster.')
param trainingSize string

// Names of storage accounts and key vaults are unique in all of Azure, and have at most 24 characters.
var token = uniqueString(resourceGroup().id, name)

module storage 'br/public:avm/res/storage/storage-account:0.33.0' = {
  name: 'storage-${token}'
  params: {
    name: 'stml${token}'
    location: location
    tags: tags
    skuName: 'Standard_LRS'
    // Azure ML's datastores use a key of the account unless they are told otherwise.
    allowSharedKeyAccess: true
    allowBlobPublicAccess: false
    publicNetworkAccess: 'Enabled'
    networkAcls: { defaultAction: 'Allow', bypass: 'AzureServices' }
    enableTelemetry: false
  }
}

module vault 'br/public:avm/res/key-vault/vault:0.14.0' = {
  name: 'vault-${token}'
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    sku: 'standard'
    publicNetworkAccess: 'Enabled'
    // With it, `azd down --purge` could not remove the vault, and its name would be taken for weeks.
    enablePurgeProtection: false
    softDeleteRetentionInDays: 7
    enableTelemetry: false
  }
}

// Not the app's own, which accepts no keys: endpoints send with one.
module insights 'br/public:avm/res/insights/component:0.8.0' = {
  name: 'insights-${token}'
  params: {
    name: 'appi-${name}'
    location: location
    tags: tags
    workspaceResourceId: logs
    retentionInDays: 30
    enableTelemetry: false
  }
}

module workspace 'br/public:avm/res/machine-learning-services/workspace:0.14.0' = {
  name: 'workspace-${token}'
  params: {
    name: name
    location: location
    tags: union(tags, { environment: environmentName })
    sku: 'Basic'
    publicNetworkAccess: 'Enabled'
    associatedStorageAccountResourceId: storage.outputs.resourceId
    associatedKeyVaultResourceId: vault.outputs.resourceId
    associatedApplicationInsightsResourceId: insights.outputs.resourceId
    enableTelemetry: false
    // The role cannot create computes, so data scientists find one here. Without jobs it has no nodes and costs nothing.
    computes: empty(trainingSize)
      ? []
      : [
          {
            name: 'cpu-cluster'
            location: location
            computeLocation: location
            computeType: 'AmlCompute'
            sku: 'Basic'
            disableLocalAuth: true
            properties: {
              vmSize: trainingSize
              vmPriority: 'Dedicated'
              osType: 'Linux'
              remoteLoginPortPublicAccess: 'Disabled'
              scaleSettings: { minNodeCount: 0, maxNodeCount: 1, nodeIdleTimeBeforeScaleDown: 'PT5M' }
            }
          }
        ]
    roleAssignments: empty(people)
      ? []
      : [
          {
            roleDefinitionIdOrName: 'AzureML Data Scientist'
            principalId: people
            principalType: 'Group'
          }
        ]
  }
}

// A Function App of mlpromote and everything that it needs, except the workspaces and the registry, which must exist
// unless a sandbox is asked for.
//
// One app for all environments: one deployment with deploymentRole = 'all'.
// One app per environment: one deployment with deploymentRole = 'coordinator', then one with deploymentRole = 'worker'
// for each environment, in that environment's subscription. A worker's identity can access only its own queues, its own
// workspace and the registry.

import { environment, networkRules } from 'types.bicep'

targetScope = 'subscription'

@description('Name of the azd environment, from which names and tags are derived.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of all resources that this creates.')
param location string

@description('The resource group to create.')
param resourceGroupName string = 'rg-${environmentName}'

@description('What runs in this app: everything (all), everything except the workers (coordinator), or only one environment\'s worker (worker).')
@allowed(['all', 'coordinator', 'worker'])
param deploymentRole string = 'all'

@description('The environments of promotion.yml.')
param environments environment[]

@description('Whether to create a small workspace for each environment and a registry, for trying out: then none is given. Only with deploymentRole = all.')
param sandbox bool = false

@description('With a sandbox: object id of the Entra ID group that works where models come from.')
param sandboxDataScientists string = ''

@description('With a sandbox: object id of the Entra ID group that works in the other environments.')
param sandboxEngineers string = ''

@description('With deploymentRole = worker: the name of the environment whose worker this app is.')
param workerOf string = ''

@description('With deploymentRole = worker: ARM id of the coordinator\'s Service Bus namespace.')
param serviceBusNamespace string = ''

@description('With deploymentRole = worker: whether to assign its rights on the shared queues and the registry (assign), or to leave that to their owner (leave).')
@allowed(['assign', 'leave'])
param sharedRights string = 'assign'

// Without a default, azd would prompt for it if the variable is not set, without our explanation.
@description('ARM id of the Azure ML registry.')
param registry string = ''

@description('Path of promotion.yml in the package, if the app has its routes in its own configuration. Otherwise teams publish them, and infra/platform.yml says who may.')
param configuration string = ''

@description('With deploymentRole = worker: ARM id of the coordinator\'s storage account, where bundles are published.')
param bundleStorage string = ''

@description('Version of Python.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.13'

@description('Client id of the Entra ID app registration with the app roles (see infra/README.md). The app accepts no other tokens, and no keys.')
param signInClientId string = ''

@description('The issuer of the tokens, without the tenant: https://login.partner.microsoftonline.cn in China, else the default.')
param signInAuthority string = environment().authentication.loginEndpoint

@description('Whether the resources send their own logs and metrics to the Log Analytics workspace.')
param diagnostics bool = true

@description('Whether each read of a blob or a row is also logged.')
param diagnosesReading bool = false

@description('Days for which a deleted blob or container, or an earlier version of a blob, can be restored; 0 turns this off.')
@minValue(0)
@maxValue(365)
param blobRetentionDays int = 14

@description('Whether earlier versions of blobs are kept for that many days.')
param blobVersions bool = true

@description('Tier of the Service Bus namespace. Network rules and private endpoints require Premium.')
@allowed(['Standard', 'Premium'])
param serviceBusTier string = 'Standard'

@description('What happens to calls from other addresses and subnets than those below: Deny refuses them.')
@allowed(['Allow', 'Deny'])
param networkDefaultAction string = 'Allow'

@description('With networkDefaultAction = Deny: addresses and ranges (CIDR) that may call, such as those of people and of whoever deploys.')
param allowedAddresses string[] = []

@description('With networkDefaultAction = Deny: ARM ids of subnets that may call, such as those of the other apps.')
param allowedSubnets string[] = []

@description('Disabled: the storage account, Service Bus (Premium) and the topic can be reached only through private endpoints, which you create.')
@allowed(['Enabled', 'Disabled'])
param publicNetworkAccess string = 'Enabled'

@description('ARM id of the subnet from which the app calls, delegated to Microsoft.App/environments.')
param appSubnet string = ''

@description('Maximum number of instances of the app.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

var publishes = empty(configuration)
var platform = loadTextContent('platform.yml')
var coordinates = deploymentRole != 'worker'
var readsBundles = coordinates ? false : publishes
var works = deploymentRole != 'coordinator'
var assignsShared = coordinates || sharedRights == 'assign'

// Report missing or wrong parameters before anything is created.
func armId(id string, of string) string =>
  length(split(id, '/')) == 9
    ? id
    : fail('${of} is "${id}", which is not an ARM id: /subscriptions/.../resourceGroups/.../providers/.../.../...')
func clientId(id string) string =>
  (length(split(id, '-')) == 5) && (length(id) == 36)
    ? id
    : fail('signInClientId (SIGN_IN_CLIENT_ID) is "${id}", which is not a client id. Without one nobody could sign in. Create the app registration as described in infra/README.md')
func groupId(id string, of string) string =>
  empty(id) || ((length(split(id, '-')) == 5) && (length(id) == 36))
    ? id
    : fail('${of} is "${id}", which is not an object id of an Entra ID group: az ad group show -g NAME --query id')
func hasSandbox(wanted bool, role string, given array) bool =>
  wanted && (role != 'all')
    ? fail('sandbox (SANDBOX) needs one app for all environments: unset MLPROMOTE_ROLES, or set SANDBOX to false')
    : (wanted && !empty(given))
        ? fail('sandbox (SANDBOX) creates workspaces and a registry of its own, but there is also ${join(given, ', ')}: set SANDBOX to false, or use an azd environment without these')
        : wanted
// Without a subnet the app could not reach its own storage account, and would never start.
func closed(action string, access string, subnet string) bool =>
  ((action == 'Deny') || (access == 'Disabled')) && empty(subnet)
    ? fail('networkDefaultAction (NETWORK_DEFAULT_ACTION) or publicNetworkAccess (PUBLIC_NETWORK_ACCESS) blocks the app itself: set appSubnet (APP_SUBNET) to the ARM id of the subnet from which it calls')
    : action == 'Deny'
func versioned(versions bool, days int) bool =>
  versions && (days == 0)
    ? fail('blobVersions needs blobRetentionDays of 1 or more: earlier versions would never be removed')
    : versions
var reachable = {
  defaultAction: closed(networkDefaultAction, publicNetworkAccess, appSubnet) ? 'Deny' : 'Allow'
  addresses: allowedAddresses
  subnets: concat(allowedSubnets, empty(appSubnet) ? [] : [appSubnet])
  publicAccess: publicNetworkAccess
  appSubnet: appSubnet
}
// What the sandbox creates takes the place of what is otherwise given.
var token = uniqueString(subscription().subscriptionId, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var given = filter(concat(map(environments, each => each.workspace), [registry]), id => !empty(id))
var withSandbox = hasSandbox(sandbox, deploymentRole, given)
var machineLearning = '${subscription().id}/resourceGroups/${resourceGroupName}/providers/Microsoft.MachineLearningServices'
// A workspace's name has at most 33 characters.
var described = map(
  environments,
  each => withSandbox
    ? union(each, { workspace: '${machineLearning}/workspaces/${take('mlw-${each.name}', 19)}-${uniqueString(token, each.name)}' })
    : each
)
var own = filter(described, each => each.name == workerOf)
var unknown = 'workerOf (WORKER_OF) is "${workerOf}" but must be one of: ${join(map(environments, each => each.name), ', ')}'
var environmentsHere = coordinates ? filter(described, each => works) : (empty(own) ? fail(unknown) : own)
// Only for a worker's app. In one app for all environments, people sign in to the coordinator, which has tables anyway.
var takingApprovals = filter(own, each => each.?takesApprovals ?? false)
var takesApprovals = coordinates ? false : !empty(takingApprovals)
var workspaces = map(
  coordinates ? described : environmentsHere,
  each => armId(each.workspace, 'The workspace of ${each.name} (${toUpper(each.name)}_WORKSPACE)')
)
var registryId = withSandbox ? '${machineLearning}/registries/mlr-${token}' : armId(registry, 'registry (REGISTRY)')
var queueNames = concat(
  ['promotion-events'],
  map(environments, each => 'steps-${each.name}'),
  map(environments, each => 'reports-${each.name}')
)

// The first identity is the app's own, for Service Bus, its storage account and its telemetry. A worker has only one.
var identityNames = concat(
  coordinates ? ['app'] : [],
  map(
    environmentsHere,
    each => contains(['app', 'dead-letters'], each.name) ? fail('An environment cannot be named ${each.name}: an identity of the app has that name.') : each.name
  )
)
var firstEnvironment = coordinates ? 1 : 0
// Has the form of a client id, which promotion.yml requires, but belongs to nobody.
var nobody = '00000000-0000-0000-0000-000000000000'

var serviceBusId = coordinates
  ? '${subscription().id}/resourceGroups/${resourceGroupName}/providers/Microsoft.ServiceBus/namespaces/sb-mlpromote-${token}'
  : armId(serviceBusNamespace, 'serviceBusNamespace (SERVICE_BUS_NAMESPACE)')

// A scope must be valid even if nothing is deployed to it.
var bundleStorageId = readsBundles
  ? armId(bundleStorage, 'bundleStorage (BUNDLE_STORAGE)')
  : serviceBusId

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

module identities 'identity.bicep' = [
  for name in identityNames: {
    name: 'identity-${name}'
    scope: group
    params: {
      name: 'id-mlpromote-${name}-${token}'
      location: location
      tags: tags
    }
  }
]

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    publisher: identities[0].outputs.principalId
  }
}

module sandboxWorkspaces 'sandbox.bicep' = if (withSandbox) {
  name: 'sandbox'
  scope: group
  params: {
    location: location
    tags: tags
    environments: described
    registryName: last(split(registryId, '/'))
    dataScientists: groupId(sandboxDataScientists, 'sandboxDataScientists (SANDBOX_DATA_SCIENTISTS)')
    machineLearningEngineers: groupId(sandboxEngineers, 'sandboxEngineers (SANDBOX_ML_ENGINEERS)')
    logs: monitoring.outputs.workspaceId
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    user: identities[0].outputs.principalId
    hasTables: coordinates || takesApprovals
    hasBundles: coordinates && publishes
    retentionDays: blobRetentionDays
    versions: versioned(blobVersions, blobRetentionDays)
    network: reachable
    logs: diagnostics ? monitoring.outputs.workspaceId : ''
    logsReading: diagnosesReading
  }
}

// Event Grid stores undeliverable events there with this identity, which the app does not have.
module deadLetterIdentity 'identity.bicep' = if (coordinates) {
  name: 'identity-dead-letters'
  scope: group
  params: {
    name: 'id-mlpromote-dead-letters-${token}'
    location: location
    tags: tags
  }
}

module deadLetters 'dead-letters.bicep' = if (coordinates) {
  name: 'dead-letters'
  scope: group
  params: {
    storageAccountName: storage.outputs.name
    writer: deadLetterIdentity!.outputs.principalId
  }
}

module queues 'queues.bicep' = if (coordinates) {
  name: 'queues'
  scope: group
  params: {
    namespaceName: last(split(serviceBusId, '/'))
    names: queueNames
    location: location
    tags: tags
    tier: serviceBusTier
    network: reachable
    logs: diagnostics ? monitoring.outputs.workspaceId : ''
  }
}

// The coordinator also receives from the workers' queues: from their dead letters, which it lists and replays. It may
// send reports only to replay them. A report counts for the environment of its queue, so no worker may send to
// another's.
module queueRights 'queue-rights.bicep' = if (assignsShared) {
  name: 'queue-rights-${token}'
  scope: resourceGroup(split(serviceBusId, '/')[2], split(serviceBusId, '/')[4])
  params: {
    namespaceName: last(split(serviceBusId, '/'))
    identity: identities[0].outputs.principalId
    receives: coordinates ? queueNames : ['steps-${workerOf}']
    sends: coordinates ? queueNames : ['reports-${workerOf}']
  }
  dependsOn: [queues]
}

module workspaceRights 'workspace-rights.bicep' = [
  for (each, index) in environmentsHere: {
    name: 'workspace-rights-${uniqueString(token, each.name)}'
    scope: resourceGroup(split(workspaces[index], '/')[2], split(workspaces[index], '/')[4])
    params: {
      workspaceName: last(split(workspaces[index], '/'))
      identity: identities[index + firstEnvironment].outputs.principalId
    }
    dependsOn: [sandboxWorkspaces]
  }
]

// A scope must be valid even if nothing is deployed to it.
var codeStorages = map(
  environmentsHere,
  each => empty(each.?codeStorage ?? '') ? each.workspace : armId(each.?codeStorage ?? '', 'codeStorage of ${each.name}')
)

module codeStorageRights 'code-storage-rights.bicep' = [
  for (each, index) in environmentsHere: if (!empty(each.?codeStorage ?? '')) {
    name: 'code-storage-rights-${uniqueString(token, each.name)}'
    scope: resourceGroup(split(codeStorages[index], '/')[2], split(codeStorages[index], '/')[4])
    params: {
      storageAccountName: last(split(codeStorages[index], '/'))
      identity: identities[index + firstEnvironment].outputs.principalId
    }
  }
]

module quotaRights 'quota-rights.bicep' = [
  for (each, index) in environmentsHere: if (each.?readsQuota ?? false) {
    name: 'quota-rights-${uniqueString(token, each.name)}'
    scope: subscription(split(workspaces[index], '/')[2])
    params: {
      identity: identities[index + firstEnvironment].outputs.principalId
    }
  }
]

var sources = map(
  environmentsHere,
  each => empty(each.?sourceWorkspace ?? '') ? each.workspace : armId(each.?sourceWorkspace ?? '', 'sourceWorkspace of ${each.name}')
)

module sourceRights 'source-rights.bicep' = [
  for (each, index) in environmentsHere: if (!empty(each.?sourceWorkspace ?? '')) {
    name: 'source-rights-${uniqueString(token, each.name)}'
    scope: resourceGroup(split(sources[index], '/')[2], split(sources[index], '/')[4])
    params: {
      workspaceName: last(split(sources[index], '/'))
      identity: identities[index + firstEnvironment].outputs.principalId
    }
  }
]

module registryRights 'registry-rights.bicep' = [
  for (each, index) in environmentsHere: if (assignsShared) {
    name: 'registry-rights-${uniqueString(token, each.name)}'
    scope: resourceGroup(split(registryId, '/')[2], split(registryId, '/')[4])
    params: {
      registryName: last(split(registryId, '/'))
      identity: identities[index + firstEnvironment].outputs.principalId
      writes: each.source
    }
    dependsOn: [sandboxWorkspaces]
  }
]

module bundleRights 'bundle-rights.bicep' = if (readsBundles && assignsShared) {
  name: 'bundle-rights-${token}'
  scope: resourceGroup(split(bundleStorageId, '/')[2], split(bundleStorageId, '/')[4])
  params: {
    storageAccountName: last(split(bundleStorageId, '/'))
    identity: identities[0].outputs.principalId
  }
}

module notifications 'notifications.bicep' = if (coordinates) {
  name: 'notifications'
  scope: group
  params: {
    name: 'evgt-mlpromote-${token}'
    location: location
    tags: tags
    publisher: identities[0].outputs.principalId
    network: reachable
    logs: diagnostics ? monitoring.outputs.workspaceId : ''
  }
}

module app 'app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-mlpromote-${token}'
    location: location
    tags: tags
    identities: [for (name, index) in identityNames: identities[index].outputs.id]
    clientId: identities[0].outputs.clientId
    storageAccountName: storage.outputs.name
    connectionString: monitoring.outputs.connectionString
    pythonVersion: pythonVersion
    maximumInstanceCount: maximumInstanceCount
    network: reachable
    logs: diagnostics ? monitoring.outputs.workspaceId : ''
    settings: union(
      {
        ServiceBus__fullyQualifiedNamespace: '${last(split(serviceBusId, '/'))}.servicebus.windows.net'
        ServiceBus__credential: 'managedidentity'
        ServiceBus__clientId: identities[0].outputs.clientId
        MLPROMOTE_SIGN_IN_TENANT: tenant().tenantId
        MLPROMOTE_SIGN_IN_CLIENT_ID: clientId(signInClientId)
        MLPROMOTE_SIGN_IN_AUTHORITY: signInAuthority
      },
      publishes
        ? {
            MLPROMOTE_PLATFORM: platform
            REGISTRY: last(split(registryId, '/'))
            MLPROMOTE_BUNDLES: coordinates
              ? '${storage.outputs.blobs}bundles'
              : 'https://${last(split(bundleStorageId, '/'))}.blob.${environment().suffixes.storage}/bundles'
          }
        : { MLPROMOTE_CONFIGURATION: configuration },
      coordinates
        ? {
            AzureWebJobsStorage__tableServiceUri: storage.outputs.tables
            MLPROMOTE_TOPIC_ENDPOINT: notifications!.outputs.endpoint
            MLPROMOTE_TOPIC_IDENTITY: identities[0].outputs.clientId
          }
        : union(
            { ENVIRONMENTS: workerOf },
            takesApprovals ? { AzureWebJobsStorage__tableServiceUri: storage.outputs.tables } : {}
          ),
      deploymentRole == 'coordinator' ? { MLPROMOTE_ROLES: 'coordinator' } : {}
    )
    // The coordinator reads all of promotion.yml, but uses no environment's identity. It has only one identity, and a
    // higher index could fail even in the branch that is not taken.
    environments: [
      for (each, index) in (coordinates ? described : environmentsHere): {
        name: toUpper(replace(each.name, '-', '_'))
        workspace: workspaces[index]
        identity: works ? identities[works ? index + firstEnvironment : 0].outputs.clientId : nobody
        source: each.?sourceWorkspace ?? ''
      }
    ]
  }
  dependsOn: [queueRights, workspaceRights, registryRights]
}

output AZURE_RESOURCE_GROUP string = group.name
output FUNCTION_APP_NAME string = app.outputs.name
output FUNCTION_APP_URL string = app.outputs.url
output FUNCTION_APP_ID string = app.outputs.id
output DEAD_LETTER_STORAGE_ID string = storage.outputs.id
output DEAD_LETTER_IDENTITY_ID string = coordinates ? deadLetterIdentity!.outputs.id : ''
output LOG_WORKSPACE_ID string = diagnostics ? monitoring.outputs.workspaceId : ''
output EVENT_SOURCES array = coordinates ? filter(described, each => each.?events ?? true) : []
output BUNDLE_STORAGE_ID string = coordinates && publishes ? storage.outputs.id : ''
output SERVICE_BUS_NAMESPACE_ID string = serviceBusId
output SANDBOX_WORKSPACES array = withSandbox ? workspaces : []

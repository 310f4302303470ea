// The form of the parameter `environments`.

@export()
@description('Network access to the resources of this deployment. Callers also need an identity with a role.')
type networkRules = {
  @description('What happens to a call that no rule below allows.')
  defaultAction: 'Allow' | 'Deny'

  @description('Addresses and ranges (CIDR) that may call.')
  addresses: string[]

  @description('ARM ids of subnets that may call.')
  subnets: string[]

  @description('Disabled: the storage account, Service Bus and the topic can be reached only through private endpoints, which you create.')
  publicAccess: 'Enabled' | 'Disabled'

  @description('ARM id of the subnet from which the app itself calls.')
  appSubnet: string
}

@export()
@description('An environment, as in promotion.yml.')
type environment = {
  @description('Its key in promotion.yml; its queues are steps-<name> and reports-<name>.')
  name: string

  @description('ARM id of its Azure ML workspace, in any subscription of the tenant; empty with a sandbox, which creates one.')
  workspace: string

  @description('Whether models come from here: a route names it in `from`. Its identity may then write to the registry.')
  source: bool

  @description('Whether the app is subscribed to its workspace: to its jobs, and where models come from to them. Without, that is noticed later. Default: true.')
  events: bool?

  @description('ARM id of its workspace\'s storage account, if that account does not accept keys: the app checks there whether a model has files.')
  codeStorage: string?

  @description('Online endpoints there whose errors and latency raise alerts, which the app shows with the promotion that serves. They must exist. Default: none.')
  alertEndpoints: string[]?

  @description('Answers per minute with an error of the model or of Azure, above which an alert is raised. Default: 1.')
  alertErrorsPerMinute: int?

  @description('95th percentile of the latency, in milliseconds, above which an alert is raised. Default: 1000.')
  alertLatencyMilliseconds: int?

  @description('Whether its own app takes its approvals, as its policy in promotion.yml says (taken_by: environment). That app gets a table and sign-in.')
  takesApprovals: bool?

  @description('Whether its identity may read what is left of the quota in its workspace\'s subscription, which takes the right to create a role there. Without, promotions start without knowing whether there is room. Default: false.')
  readsQuota: bool?

  @description('ARM id of the workspace that models come from, if its identity should read there who made a model (source_workspace of its policy).')
  sourceWorkspace: string?
}

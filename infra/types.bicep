// The form of the parameter `environments`.

@export()
@description('Who may reach what this deployment makes, by where a call comes from. Whoever may, still needs an identity with a role.')
type networkRules = {
  @description('What becomes of a call that no rule below allows.')
  defaultAction: 'Allow' | 'Deny'

  @description('Addresses and ranges (CIDR) that may call.')
  addresses: string[]

  @description('ARM ids of subnets that may call.')
  subnets: string[]

  @description('Disabled: only private endpoints, which are yours to make, lead to the storage account, Service Bus and the topic.')
  publicAccess: 'Enabled' | 'Disabled'

  @description('ARM id of the subnet that the app itself calls from.')
  appSubnet: string
}

@export()
@description('An environment as promotion.yml has it.')
type environment = {
  @description('Its key in promotion.yml; its queues are steps-<name> and reports-<name>.')
  name: string

  @description('ARM id of its Azure ML workspace, in any subscription of the tenant.')
  workspace: string

  @description('Whether models come from here: a route names it in `from`. Its identity may then write to the registry.')
  source: bool

  @description('Whether the app is subscribed to its workspace: to its jobs, and where models come from to them. Without, that is noticed later. Default: true.')
  events: bool?

  @description('ARM id of the storage account of its workspace, where that account takes no keys: whether a model has files is looked up there.')
  codeStorage: string?

  @description('Whether its own app takes its approvals, as its policy in promotion.yml then says (taken_by: environment): that app gets a table and a sign-in.')
  takesApprovals: bool?

  @description('ARM id of the workspace that models come from, where its identity shall read there who made a model (source_workspace of its policy).')
  sourceWorkspace: string?
}

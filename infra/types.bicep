// The form of the parameter `environments`.

@export()
@description('An environment as promotion.yml has it.')
type environment = {
  @description('Its key in promotion.yml; its queues are steps-<name> and reports-<name>.')
  name: string

  @description('ARM id of its Azure ML workspace, in any subscription of the tenant.')
  workspace: string

  @description('Whether models come from here: a route names it in `from`. Its identity may then write to the registry.')
  source: bool

  @description('ARM id of the storage account of its workspace, where that account takes no keys: whether a model has files is looked up there.')
  codeStorage: string?

  @description('Whether its own app takes its approvals, as its policy in promotion.yml then says (taken_by: environment): that app gets a table and a sign-in.')
  takesApprovals: bool?

  @description('ARM id of the workspace that models come from, where its identity shall read there who made a model (source_workspace of its policy).')
  sourceWorkspace: string?
}

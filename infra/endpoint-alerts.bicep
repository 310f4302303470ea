// Alert rules on online endpoints of a workspace. Their alerts go to the app, which shows and publishes them with the
// promotion that serves. The endpoints must exist: the first promotion makes them.
// Metrics: https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-machinelearningservices-workspaces-onlineendpoints-metrics

param workspaceName string

@description('Names of the online endpoints.')
param endpoints string[]

@description('Responses per minute that are the model\'s or Azure\'s fault (424 or 5xx), on average over five minutes: more than this raises an alert.')
param errorsPerMinute int

@description('95th percentile of the latency in milliseconds, on average over five minutes: more than this raises an alert.')
param latencyMilliseconds int

param functionAppId string

@description('The address at which the app receives alerts, with its key.')
@secure()
param webhook string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource toTheApp 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-mlpromote-${uniqueString(functionAppId)}'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: 'mlpromote'
    webhookReceivers: [{ name: 'app', serviceUri: webhook, useCommonAlertSchema: true }]
  }
}

// A rule for each kind of error: the criteria of one rule must all be met.
var kinds = [
  { name: 'errors', dimension: 'statusCodeClass', value: '5xx', what: 'The endpoint answers with errors of Azure (5xx).' }
  { name: 'model-errors', dimension: 'statusCode', value: '424', what: 'The model answers with errors (424).' }
]

module errors 'endpoint-error-alert.bicep' = [
  for kind in kinds: {
    name: 'alert-${kind.name}-${uniqueString(functionAppId, workspaceName)}'
    params: {
      workspaceName: workspaceName
      endpoints: endpoints
      rule: kind.name
      dimension: kind.dimension
      value: kind.value
      what: kind.what
      errorsPerMinute: errorsPerMinute
      actionGroupId: toTheApp.id
    }
  }
]

resource slow 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for endpoint in endpoints: {
    name: '${endpoint}-latency'
    location: 'global'
    properties: {
      description: 'The endpoint answers slowly.'
      severity: 2
      enabled: true
      autoMitigate: true
      scopes: ['${workspace.id}/onlineEndpoints/${endpoint}']
      evaluationFrequency: 'PT1M'
      windowSize: 'PT5M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: 'latency'
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints'
            metricName: 'RequestLatency_P95'
            timeAggregation: 'Average'
            operator: 'GreaterThan'
            threshold: latencyMilliseconds
            skipMetricValidation: true
          }
        ]
      }
      actions: [{ actionGroupId: toTheApp.id }]
    }
  }
]

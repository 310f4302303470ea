// One kind of error, as an alert rule on each of the endpoints.

param workspaceName string
param endpoints string[]

@description('How the names of the rules end.')
param rule string

@description('Dimension of the metric RequestsPerMinute, and its value for this kind of error.')
param dimension string
param value string

@description('What the alert says.')
param what string

param errorsPerMinute int
param actionGroupId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource failing 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for endpoint in endpoints: {
    name: '${endpoint}-${rule}'
    location: 'global'
    properties: {
      description: what
      severity: 1
      enabled: true
      autoMitigate: true
      scopes: ['${workspace.id}/onlineEndpoints/${endpoint}']
      evaluationFrequency: 'PT1M'
      windowSize: 'PT5M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: 'errors'
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints'
            metricName: 'RequestsPerMinute'
            dimensions: [{ name: dimension, operator: 'Include', values: [value] }]
            timeAggregation: 'Average'
            operator: 'GreaterThan'
            threshold: errorsPerMinute
            skipMetricValidation: true
          }
        ]
      }
      actions: [{ actionGroupId: actionGroupId }]
    }
  }
]

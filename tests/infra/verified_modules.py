"""The Azure Verified Modules that infra/ uses. Bicep downloads them, so their parameters, as published with these
versions, are listed here: a wrong one is found without a compiler.
"""

from dataclasses import dataclass

#: How the path of a module begins that is in Microsoft's registry, not in a file.
PUBLIC = "br/public:"


@dataclass(frozen=True)
class VerifiedModule:
    """The type of resource that a module creates, and its parameters."""

    type: str
    parameters: frozenset[str]
    required: frozenset[str]


def _module(type: str, required: str, optional: str) -> VerifiedModule:
    needed = frozenset(required.split())
    return VerifiedModule(type, needed | frozenset(optional.split()), needed)


#: By the path with the version. From each version's `main.bicep` in https://github.com/Azure/bicep-registry-modules.
VERIFIED = {
    "br/public:avm/res/machine-learning-services/registry:0.1.1": _module(
        "Microsoft.MachineLearningServices/registries",
        "name",
        """
        acrAccountName acrSku enableTelemetry location locations lock managedIdentities privateEndpoints
        publicNetworkAccess roleAssignments storageAccountAllowBlobPublicAccess storageAccountHnsEnabled
        storageAccountName storageAccountType tags
        """,
    ),
    "br/public:avm/res/machine-learning-services/workspace:0.14.0": _module(
        "Microsoft.MachineLearningServices/workspaces",
        "name sku",
        """
        associatedApplicationInsightsResourceId associatedContainerRegistryResourceId associatedKeyVaultResourceId
        associatedStorageAccountResourceId computes connections customerManagedKey datastores description
        diagnosticSettings discoveryUrl enableServiceSideCMKEncryption enableTelemetry featureStoreSettings
        friendlyName hbiWorkspace hubResourceId imageBuildCompute ipAllowlist kind location lock managedIdentities
        managedNetworkSettings primaryUserAssignedIdentity privateEndpoints provisionNetworkNow publicNetworkAccess
        roleAssignments serverlessComputeSettings serviceManagedResourcesSettings sharedPrivateLinkResources
        systemDatastoresAuthMode tags workspaceHubConfig
        """,
    ),
    "br/public:avm/res/storage/storage-account:0.33.0": _module(
        "Microsoft.Storage/storageAccounts",
        "name",
        """
        accessTier allowBlobPublicAccess allowCrossTenantReplication allowSharedKeyAccess allowedCopyScope
        azureFilesIdentityBasedAuthentication blobServices customDomainName customDomainUseSubDomainName
        customerManagedKey defaultToOAuthAuthentication diagnosticSettings dnsEndpointType
        enableHierarchicalNamespace enableNfsV3 enableSftp enableTelemetry extendedLocationZone fileServices
        immutableStorageWithVersioning isLocalUserEnabled keyType kind largeFileSharesState localUsers location lock
        managedIdentities managementPolicyRules minimumTlsVersion networkAcls objectReplicationPolicies
        privateEndpoints publicNetworkAccess queueServices requireInfrastructureEncryption roleAssignments
        sasExpirationAction sasExpirationPeriod secretsExportConfiguration skuName supportsHttpsTrafficOnly
        tableServices tags
        """,
    ),
    "br/public:avm/res/key-vault/vault:0.14.0": _module(
        "Microsoft.KeyVault/vaults",
        "name",
        """
        accessPolicies createMode diagnosticSettings enablePurgeProtection enableRbacAuthorization enableSoftDelete
        enableTelemetry enableVaultForDeployment enableVaultForDiskEncryption enableVaultForTemplateDeployment keys
        location lock networkAcls privateEndpoints publicNetworkAccess roleAssignments secrets sku
        softDeleteRetentionInDays tags
        """,
    ),
    "br/public:avm/res/insights/component:0.8.0": _module(
        "Microsoft.Insights/components",
        "name workspaceResourceId",
        """
        applicationType diagnosticSettings disableIpMasking disableLocalAuth enableTelemetry flowType
        forceCustomerStorageForProfiler immediatePurgeDataOn30Days ingestionMode kind linkedStorageAccountResourceId
        location lock publicNetworkAccessForIngestion publicNetworkAccessForQuery requestSource retentionInDays
        roleAssignments samplingPercentage tags
        """,
    ),
}

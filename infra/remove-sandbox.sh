#!/bin/sh
# Deletes the sandbox's workspaces for good, before `azd down` deletes their resource group: that alone would only
# soft-delete them, and `azd up` could not create them again under the same names for two weeks. `azd down --purge`
# purges key vaults, but no workspaces. Does nothing without a sandbox.
set -eu
type=Microsoft.MachineLearningServices/workspaces
ours=$(printf '%s' "${SANDBOX_WORKSPACES:-}" | tr -d '[]" \n' | tr ',' '\n')
if [ -z "$ours" ] || [ "${SANDBOX_PURGE:-}" = "false" ]; then
    exit 0
fi
if ! command -v az >/dev/null; then
    echo "Nothing is deleted: install the Azure CLI (https://aka.ms/azcli), sign in with az login, and run azd down" \
        "again. It deletes the sandbox's workspaces for good; azd env set SANDBOX_PURGE false leaves that out." >&2
    exit 1
fi
if ! there=$(az resource list --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" \
    --resource-type "$type" --query "[].id" --output tsv); then
    echo "Nothing is deleted: the Azure CLI cannot list the sandbox's workspaces. Fix what it reports above, or leave" \
        "them soft-deleted: azd env set SANDBOX_PURGE false. Then run azd down again." >&2
    exit 1
fi
# Only those that this deployment created: another one may have been put into the group by hand.
doomed=""
for id in $there; do
    if printf '%s\n' "$ours" | grep -qixF -- "$id"; then
        doomed="$doomed ${id##*/}"
    fi
done
if [ -z "$doomed" ]; then
    exit 0
fi
if [ "${SANDBOX_PURGE:-}" != "true" ]; then
    printf 'Delete these workspaces for good, with their models, jobs and endpoints:%s? [y/N] ' "$doomed"
    read -r answer || answer=""
    if [ "$answer" != "y" ] && [ "$answer" != "Y" ]; then
        echo
        echo "Nothing is deleted. To delete without this question: azd env set SANDBOX_PURGE true." >&2
        exit 1
    fi
fi
for name in $doomed; do
    az ml workspace delete \
        --subscription "$AZURE_SUBSCRIPTION_ID" \
        --resource-group "$AZURE_RESOURCE_GROUP" \
        --name "$name" \
        --permanently-delete \
        --yes
done

#!/bin/sh
# Subscribes the app to the workspaces of its environments. azd runs this after deploying the code, with the outputs of
# main.bicep as environment variables. A worker's app has nothing to subscribe to.
set -eu
if [ "${EVENT_SOURCES:-[]}" = "[]" ]; then
    echo "No workspace to subscribe to."
    exit 0
fi
if ! command -v az >/dev/null; then
    echo "The app is deployed, but gets no events yet: install the Azure CLI (https://aka.ms/azcli), sign in with" \
        "az login, and run: azd hooks run postdeploy --service mlpromote" >&2
    exit 1
fi

"$(dirname "$0")/check-bicep.sh"
parameters=$(mktemp) # for the key, which no list of processes is to show; readable by nobody else
trap 'rm -f "$parameters"' EXIT

subscribe() {
    # A key of only this function: it gives no other access.
    key=$(az functionapp function keys list \
        --subscription "$AZURE_SUBSCRIPTION_ID" \
        --resource-group "$AZURE_RESOURCE_GROUP" \
        --name "$FUNCTION_APP_NAME" \
        --function-name take_events \
        --query default --output tsv) || return 1
    key=$(printf '%s' "$key" | sed 's/+/%2B/g')
    printf '{"webhook": {"value": "%s/api/events?code=%s"}}' "$FUNCTION_APP_URL" "$key" >"$parameters"
    az deployment sub create \
        --subscription "$AZURE_SUBSCRIPTION_ID" \
        --location "$AZURE_LOCATION" \
        --name "mlpromote-events-$AZURE_ENV_NAME" \
        --template-file "$(dirname "$0")/events.bicep" \
        --parameters sources="$EVENT_SOURCES" \
            functionAppId="$FUNCTION_APP_ID" \
            deadLetterStorageId="$DEAD_LETTER_STORAGE_ID" \
            deadLetterIdentityId="$DEAD_LETTER_IDENTITY_ID" \
            logs="$LOG_WORKSPACE_ID" \
        --parameters "@$parameters" \
        --output none
}

# Empty outputs may not be set, nor outputs that an older version of the app did not have.
LOG_WORKSPACE_ID="${LOG_WORKSPACE_ID:-}"
# Right after a deployment Azure may not know the function yet, and Event Grid then refuses it.
attempts=5
attempt=1
pause="${SUBSCRIBE_PAUSE:-15}" # seconds, doubled each time
until subscribe; do
    if [ "$attempt" -ge "$attempts" ]; then
        echo "The app is deployed, but gets no events: none of $attempts attempts to subscribe it succeeded. Fix what" \
            "the last one reports above, then run: azd hooks run postdeploy --service mlpromote" >&2
        exit 1
    fi
    echo "Attempt $attempt of $attempts to subscribe failed; next attempt in $pause s." >&2
    sleep "$pause"
    attempt=$((attempt + 1))
    pause=$((pause * 2))
done
echo "Subscribed to the workspaces of the environments."

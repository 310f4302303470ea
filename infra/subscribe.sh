#!/bin/sh
# Subscribes the app to the workspaces that models come from. azd runs this when the code is there, with its outputs of
# main.bicep as environment variables; a worker alone has nothing to subscribe to.
set -eu
if [ "${EVENT_SOURCES:-[]}" = "[]" ]; then
    echo "No workspace to subscribe to."
    exit 0
fi
az deployment sub create \
    --subscription "$AZURE_SUBSCRIPTION_ID" \
    --location "$AZURE_LOCATION" \
    --name "mlpromote-events-$AZURE_ENV_NAME" \
    --template-file "$(dirname "$0")/events.bicep" \
    --parameters sources="$EVENT_SOURCES" \
        functionAppId="$FUNCTION_APP_ID" \
        deadLetterStorageId="$DEAD_LETTER_STORAGE_ID" \
        deadLetterIdentityId="$DEAD_LETTER_IDENTITY_ID" \
    --output none

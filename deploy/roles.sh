#!/bin/sh
# Runs once, when the database server makes its data: the owner migrates, the application only reads and writes rows.
set -eu
owner_password=$(cat /run/secrets/owner_password)
app_password=$(cat /run/secrets/app_password)
psql -v ON_ERROR_STOP=1 -v owner_password="$owner_password" -v app_password="$app_password" \
    --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE promptforge_owner LOGIN CREATEDB PASSWORD :'owner_password';
CREATE ROLE promptforge_app LOGIN PASSWORD :'app_password';
CREATE DATABASE promptforge OWNER promptforge_owner;
SQL

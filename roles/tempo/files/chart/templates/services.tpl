{{- $single := eq .Values.profile "monolithic" }}
{{- $component := ternary "all" "distributor" $single }}
{{- include "tempo.service" (dict "root" . "name" "distributor" "component" $component "ports" (list "otlp-grpc" "otlp-http" "http")) }}
{{- $component = ternary "all" "query-frontend" $single }}
{{- include "tempo.service" (dict "root" . "name" "query-frontend" "component" $component "ports" (list "http" "grpc")) }}
{{- if $single }}
{{- include "tempo.service" (dict "root" . "name" "" "component" "all" "headless" true "ports" (list "http" "grpc")) }}
{{- else }}
{{- /* A query-frontend is ready only once a querier has found it, so queriers must see it earlier. */}}
{{- include "tempo.service" (dict "root" . "name" "query-frontend-discovery" "component" "query-frontend" "headless" true "notReady" true "ports" (list "grpc")) }}
{{- /* Ring members find each other before they are ready. */}}
{{- include "tempo.service" (dict "root" . "name" "gossip-ring" "component" "" "headless" true "notReady" true "ports" (list "gossip")) }}
{{- range $component := without (include "tempo.components" . | fromJsonArray) "distributor" "query-frontend" }}
{{- include "tempo.service" (dict "root" $ "name" $component "component" $component "headless" (has $component (include "tempo.stateful" $ | fromJsonArray)) "ports" (list "http" "grpc")) }}
{{- end }}
{{- end }}
{{- /* Names that clients have known before this release. */}}
{{- range $alias := .Values.serviceAliases }}
{{- include "tempo.service" (dict "root" $ "alias" $alias "name" "distributor" "component" (ternary "all" "distributor" $single) "ports" (list "otlp-grpc" "otlp-http" "http")) }}
{{- include "tempo.service" (dict "root" $ "alias" $alias "name" "query-frontend" "component" (ternary "all" "query-frontend" $single) "ports" (list "http" "grpc")) }}
{{- end }}

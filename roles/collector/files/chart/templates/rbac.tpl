{{- range $tier := list "gateway" "sampler" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "otel-collector.name" (list $ $tier) }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" (list $ $tier) | nindent 4 }}
  {{- with $.Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- $clusterName := printf "%s-%s" .Release.Namespace (include "otel-collector.name" (list . "gateway")) }}
---
# k8s_attributes: which pod, in any namespace, sent this span. Cluster-scoped, so the name carries the namespace.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $clusterName }}
  labels:
    {{- include "otel-collector.labels" (list . "gateway") | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [pods, namespaces]
    verbs: [get, list, watch]
  - apiGroups: [apps]
    resources: [replicasets]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $clusterName }}
  labels:
    {{- include "otel-collector.labels" (list . "gateway") | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $clusterName }}
subjects:
  - kind: ServiceAccount
    name: {{ include "otel-collector.name" (list . "gateway") }}
    namespace: {{ .Release.Namespace }}
---
# load_balancing: the samplers' addresses.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "otel-collector.name" (list . "gateway") }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" (list . "gateway") | nindent 4 }}
rules:
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "otel-collector.name" (list . "gateway") }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" (list . "gateway") | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "otel-collector.name" (list . "gateway") }}
subjects:
  - kind: ServiceAccount
    name: {{ include "otel-collector.name" (list . "gateway") }}
    namespace: {{ .Release.Namespace }}

{{- if .Values.networkPolicy.enabled }}
{{- $single := eq .Values.profile "monolithic" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tempo.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tempo.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    # Among Tempo's own pods.
    - from:
        - podSelector:
            matchLabels:
              {{- include "tempo.selector" . | nindent 14 }}
      ports:
        - port: http
        - port: grpc
        - port: gossip
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-otlp
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tempo.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tempo.selector" . | nindent 6 }}
      app.kubernetes.io/component: {{ ternary "all" "distributor" $single }}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - port: otlp-grpc
        - port: otlp-http
      {{- with .Values.networkPolicy.otlpFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-query
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tempo.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tempo.selector" . | nindent 6 }}
      app.kubernetes.io/component: {{ ternary "all" "query-frontend" $single }}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - port: http
      {{- with .Values.networkPolicy.queryFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        # The periodic probe of the verify role.
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: trace-probe
      {{- end }}
{{- if not $single }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-admin
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tempo.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tempo.selector" . | nindent 6 }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: NotIn
        values: [query-frontend]
  policyTypes: [Ingress]
  ingress:
    - ports:
        - port: http
      {{- with .Values.networkPolicy.adminFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
{{- end }}

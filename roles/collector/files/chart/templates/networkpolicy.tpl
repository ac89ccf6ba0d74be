{{- if .Values.networkPolicy.enabled }}
# Ingress only. What the collectors reach (API server, DNS, instance metadata, Tempo, a remote-write endpoint that may
# lie outside the cluster) depends on the site, so egress stays open.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "otel-collector.name" (list . "gateway") }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" (list . "gateway") | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "otel-collector.selector" (list . "gateway") | nindent 6 }}
  policyTypes:
    - Ingress
  ingress:
    - ports:
        {{- range include "otel-collector.receiverPorts" . | fromYamlArray }}
        - port: {{ .name }}
          protocol: TCP
        {{- end }}
      {{- with .Values.networkPolicy.clients }}
      from:
        {{- toYaml . | nindent 8 }}
        # The periodic probe of the verify role.
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: trace-probe
        {{- if $.Values.nodeAgent.enabled }}
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ $.Values.nodeAgent.namespace }}
          podSelector:
            matchLabels:
              {{- include "otel-collector.selector" (list $ "node-agent") | nindent 14 }}
        {{- end }}
      {{- end }}
    {{- if .Values.edgeReceiver.enabled }}
    # Other clusters, from addresses that are not known here: they need the token.
    - ports:
        {{- range include "otel-collector.edgePorts" . | fromYamlArray }}
        - port: {{ .name }}
          protocol: TCP
        {{- end }}
    {{- end }}
    # Own telemetry and health: the monitoring system, and the API server's proxy.
    - ports:
        - port: metrics
          protocol: TCP
        - port: health
          protocol: TCP
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "otel-collector.name" (list . "sampler") }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" (list . "sampler") | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "otel-collector.selector" (list . "sampler") | nindent 6 }}
  policyTypes:
    - Ingress
  ingress:
    - ports:
        - port: otlp-grpc
          protocol: TCP
      from:
        - podSelector:
            matchLabels:
              {{- include "otel-collector.selector" (list . "gateway") | nindent 14 }}
    - ports:
        - port: metrics
          protocol: TCP
        - port: health
          protocol: TCP
{{- end }}

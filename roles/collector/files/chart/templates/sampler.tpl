{{- $tier := list . "sampler" }}
# Headless: the gateways' load balancer sees the pods. Never publishNotReadyAddresses: spans would go to samplers that
# are starting or stopping.
apiVersion: v1
kind: Service
metadata:
  name: {{ include "otel-collector.name" $tier }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
spec:
  type: ClusterIP
  clusterIP: None
  selector:
    {{- include "otel-collector.selector" $tier | nindent 4 }}
    orion.tracing/receives-spans: "true"
  ports:
    - name: otlp-grpc
      port: 4317
      targetPort: otlp-grpc
      protocol: TCP
      appProtocol: kubernetes.io/h2c
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "otel-collector.name" $tier }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
spec:
  serviceName: {{ include "otel-collector.name" $tier }}
  replicas: {{ .Values.sampler.replicas }}
  # They do not depend on each other: start together, replace one by one.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      {{- toYaml .Values.sampler.rollingUpdate | nindent 6 }}
  selector:
    matchLabels:
      {{- include "otel-collector.selector" $tier | nindent 6 }}
  template:
    {{- include "otel-collector.pod" $tier | nindent 4 }}
  {{- with .Values.sampler.persistence }}
  {{- if .enabled }}
  persistentVolumeClaimRetentionPolicy:
    whenScaled: Retain
    whenDeleted: Delete
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: queue
        labels:
          {{- include "otel-collector.selector" $tier | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .size }}
  {{- end }}
  {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "otel-collector.name" $tier }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "otel-collector.selector" $tier | nindent 6 }}

{{- $values := .Values.jaeger }}
{{- $self := dict "root" . "name" "jaeger" }}
{{- $badger := eq $values.storage.type "badger" }}
{{- define "backends.jaegerConfig" }}
extensions:
  healthcheckv2:
    use_v2: true
    http:
      endpoint: 0.0.0.0:13133
  jaeger_storage:
    backends:
      main:
        {{- if eq .storage.type "badger" }}
        badger:
          ephemeral: false
          directories:
            keys: /var/lib/jaeger/keys
            values: /var/lib/jaeger/values
          ttl:
            spans: {{ .storage.retention }}
        {{- else }}
        memory:
          max_traces: {{ int .storage.maxTraces }}
        {{- end }}
  jaeger_query:
    storage:
      traces: main
    http:
      endpoint: 0.0.0.0:16686
    grpc:
      endpoint: 0.0.0.0:16685
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
      http:
        endpoint: 0.0.0.0:4318
exporters:
  jaeger_storage_exporter:
    trace_storage: main
service:
  extensions: [healthcheckv2, jaeger_storage, jaeger_query]
  pipelines:
    # Without a batch processor, a span that was accepted is stored.
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      readers:
        - pull:
            exporter:
              prometheus:
                host: 0.0.0.0
                port: 8888
{{- end }}
{{- if $values.enabled }}
{{- $config := include "backends.jaegerConfig" $values | trim }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: jaeger
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
data:
  jaeger.yaml: |
    {{- $config | nindent 4 }}
{{- if $badger }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: jaeger
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $values.storage.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ $values.storage.size }}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: jaeger
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  replicas: 1
  # The store in memory is this one pod's, and Badger takes a lock on its folder.
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "backends.labels" $self | nindent 8 }}
      annotations:
        checksum/config: {{ $config | sha256sum }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext:
        {{- include "backends.podSecurity" 10001 | nindent 8 }}
      containers:
        - name: jaeger
          image: {{ include "backends.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/cmd/jaeger/jaeger-linux]
          args: [--config=/etc/jaeger/jaeger.yaml]
          env:
            - name: GOMEMLIMIT
              value: {{ include "backends.goMemLimit" $values.resources.limits.memory }}
          ports:
            - name: otlp-grpc
              containerPort: 4317
            - name: otlp-http
              containerPort: 4318
            - name: query
              containerPort: 16686
            - name: metrics
              containerPort: 8888
            - name: health
              containerPort: 13133
          startupProbe:
            httpGet: &probe
              path: /status
              port: health
            periodSeconds: 1
            failureThreshold: 120
          readinessProbe:
            httpGet: *probe
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            httpGet: *probe
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "backends.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: config
              mountPath: /etc/jaeger
              readOnly: true
            {{- if $badger }}
            - name: data
              mountPath: /var/lib/jaeger
            {{- end }}
      volumes:
        - name: config
          configMap:
            name: jaeger
        {{- if $badger }}
        - name: data
          persistentVolumeClaim:
            claimName: jaeger
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: jaeger
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: otlp-grpc
      port: 4317
      targetPort: otlp-grpc
    - name: otlp-http
      port: 4318
      targetPort: otlp-http
    - name: query
      port: 16686
      targetPort: query
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: jaeger
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # Who writes and asks: samplers and Grafana in whatever namespace, and the API server's service proxy, which is no pod.
    - ports:
        - port: otlp-grpc
        - port: otlp-http
        - port: query
  egress: []
{{- end }}

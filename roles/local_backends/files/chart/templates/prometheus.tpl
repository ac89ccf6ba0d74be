{{- $values := .Values.prometheus }}
{{- $self := dict "root" . "name" "prometheus" }}
{{- $components := dict
      "otel-collector" (list "gateway" "sampler")
      "tempo" (list "all" "backend-scheduler" "backend-worker" "block-builder" "compactor" "distributor" "ingester"
                    "live-store" "metrics-generator" "querier" "query-frontend") }}
{{- $ports := dict "otel-collector" 8888 "tempo" 3200 }}
{{- define "backends.prometheusConfig" }}
global:
  scrape_interval: {{ .values.scrapeInterval }}
  scrape_timeout: {{ .values.scrapeInterval }}
  evaluation_interval: {{ .values.scrapeInterval }}
{{- if .values.rules.groups }}
rule_files: [/etc/prometheus/rules.yml]
{{- end }}
storage:
  tsdb:
    # Several samplers write at their own pace.
    out_of_order_time_window: 5m
  exemplars:
    max_exemplars: 20000
scrape_configs:
  {{- range $job, $components := .components }}
  - job_name: {{ $job }}
    dns_sd_configs:
      - type: A
        port: {{ get $.ports $job }}
        refresh_interval: {{ $.values.scrapeInterval }}
        names:
          {{- range $namespace := $.values.scrapeNamespaces }}
          {{- range $components }}
          - {{ $.release }}-{{ $job }}-{{ . }}.{{ $namespace }}.svc
          {{- end }}
          {{- end }}
    relabel_configs:
      - source_labels: [__meta_dns_name]
        regex: {{ $.release }}-{{ $job }}-([^.]+)\.([^.]+)\.svc
        target_label: component
      - source_labels: [__meta_dns_name]
        regex: '[^.]+\.([^.]+)\.svc'
        target_label: namespace
  {{- end }}
{{- end }}
{{- $config := include "backends.prometheusConfig" (dict "values" $values "release" .Release.Name "components" $components "ports" $ports) | trim }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: prometheus
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
data:
  prometheus.yml: |
    {{- $config | nindent 4 }}
  {{- if $values.rules.groups }}
  rules.yml: |
    {{- toYaml $values.rules | nindent 4 }}
  {{- end }}
{{- /* Prometheus finds the pods by DNS: that works in builds without Kubernetes service discovery (Debian's), and needs no
access to the API server. A headless Service for each component tells the tiers apart. */}}
{{- range $namespace := $values.scrapeNamespaces }}
{{- range $job, $names := $components }}
{{- range $component := $names }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $.Release.Name }}-{{ $job }}-{{ $component }}
  namespace: {{ $namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  clusterIP: None
  # Also pods that are not ready, for they are the ones to look at.
  publishNotReadyAddresses: true
  selector:
    app.kubernetes.io/name: {{ $job }}
    app.kubernetes.io/component: {{ $component }}
  ports:
    - name: http
      port: {{ get $ports $job }}
{{- end }}
{{- end }}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: prometheus
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  replicas: 1
  # Two at once would take twice the memory, and the new one starts empty anyway.
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
        checksum/config: {{ print $config (toYaml $values.rules) | sha256sum }}
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
        {{- include "backends.podSecurity" 65534 | nindent 8 }}
      containers:
        - name: prometheus
          image: {{ include "backends.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/bin/prometheus]
          # Flags that 2.42 and 3.x both have.
          args:
            - --config.file=/etc/prometheus/prometheus.yml
            - --storage.tsdb.path=/prometheus
            - --storage.tsdb.retention.time={{ $values.retention }}
            - --storage.tsdb.retention.size=512MB
            - --web.enable-remote-write-receiver
            - --enable-feature=exemplar-storage
          env:
            - name: GOMEMLIMIT
              value: {{ include "backends.goMemLimit" $values.resources.limits.memory }}
          ports:
            - name: http
              containerPort: 9090
          startupProbe:
            httpGet: &probe
              path: /-/healthy
              port: http
            periodSeconds: 1
            failureThreshold: 120
          readinessProbe:
            httpGet:
              path: /-/ready
              port: http
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
              mountPath: /etc/prometheus
              readOnly: true
            - name: data
              mountPath: /prometheus
      volumes:
        - name: config
          configMap:
            name: prometheus
        - name: data
          emptyDir:
            sizeLimit: 1Gi
---
apiVersion: v1
kind: Service
metadata:
  name: prometheus
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: http
      port: 9090
      targetPort: http
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: prometheus
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # Who writes and asks: collectors, Tempo's metrics-generator, Grafana in whatever namespace, and the API server's
    # service proxy, which is no pod.
    - ports:
        - port: http
  egress:
    - ports:
        - port: 53
          protocol: UDP
        - port: 53
          protocol: TCP
    - to:
        - namespaceSelector:
            matchExpressions:
              - key: kubernetes.io/metadata.name
                operator: In
                values: {{ $values.scrapeNamespaces | toJson }}
      ports:
        {{- range $ports }}
        - port: {{ . }}
        {{- end }}

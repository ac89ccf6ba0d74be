{{/* Labels that select the pods of a tier. Call with (list . "gateway") or (list . "sampler"). */}}
{{- define "otel-collector.selector" -}}
app.kubernetes.io/name: otel-collector
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{- define "otel-collector.labels" -}}
{{- $root := index . 0 -}}
{{ include "otel-collector.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tracing
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* Kubernetes name of a tier: applications, the load balancer and the other roles know these names. */}}
{{- define "otel-collector.name" -}}
{{- if eq (index . 1) "gateway" }}otel-collector{{ else }}otel-sampler{{ end }}
{{- end }}

{{/* The image to run: the digest decides where there is one. Argument: the values of image. */}}
{{- define "otel-collector.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "otel-collector.config" -}}
{{- toYaml (index (index . 0).Values (index . 1)).config }}
{{- end }}

{{/* Name, port and protocol of every port on which the gateway takes spans, as YAML. */}}
{{- define "otel-collector.receiverPorts" -}}
- {name: otlp-grpc, port: 4317, appProtocol: kubernetes.io/h2c}
- {name: otlp-http, port: 4318, appProtocol: http}
{{- if .Values.ports.jaeger }}
- {name: jaeger-grpc, port: 14250, appProtocol: kubernetes.io/h2c}
- {name: jaeger-http, port: 14268, appProtocol: http}
{{- end }}
{{- if .Values.ports.zipkin }}
- {name: zipkin, port: 9411, appProtocol: http}
{{- end }}
{{- end }}

{{/* Name, port of the Service and of the pod, and protocol of the ports for other clusters, as YAML. */}}
{{- define "otel-collector.edgePorts" -}}
- {name: edge-grpc, port: 4317, containerPort: 4327}
- {name: edge-http, port: 4318, containerPort: 4328, appProtocol: https}
{{- end }}

{{/* The pod template of a tier, without "template:". */}}
{{- define "otel-collector.pod" -}}
{{- $root := index . 0 -}}
{{- $tier := index . 1 -}}
{{- $values := index $root.Values $tier -}}
metadata:
  labels:
    {{- with $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "otel-collector.labels" . | nindent 4 }}
    {{- if eq $tier "sampler" }}
    # Not in the StatefulSet's selector: the module sampler_drain changes it to take a sampler out of the Service.
    orion.tracing/receives-spans: "true"
    {{- end }}
  annotations:
    checksum/config: {{ include "otel-collector.config" . | sha256sum }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "otel-collector.name" . }}
  # Only the gateway talks to the API server (pods for k8s_attributes, EndpointSlices for load_balancing).
  automountServiceAccountToken: {{ eq $tier "gateway" }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{- toYaml . | nindent 6 }}
      labelSelector:
        matchLabels:
          {{- include "otel-collector.selector" (list $root $tier) | nindent 10 }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    {{- if ($values.persistence).enabled }}
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: otel-collector
      image: {{ include "otel-collector.image" $root.Values.image }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [/otelcol-contrib]
      args:
        - --config=/etc/otelcol/collector.yaml
      env:
        - name: MY_POD_IP
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
        - name: MY_POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        {{- range $values.secretEnv }}
        - name: {{ .name }}
          valueFrom:
            secretKeyRef:
              name: {{ .secret }}
              key: {{ .key }}
        {{- end }}
        {{- range $values.secretFiles }}
        {{- if eq .path "aws-ca-bundle.crt" }}
        - name: AWS_CA_BUNDLE
          value: /var/run/secrets/otelcol/{{ .path }}
        {{- end }}
        {{- end }}
        {{- with $values.goMemLimit }}
        - name: GOMEMLIMIT
          value: {{ . }}
        {{- end }}
        {{- with $values.goGC }}
        - name: GOGC
          value: {{ . | quote }}
        {{- end }}
      ports:
        {{- if eq $tier "gateway" }}
        {{- range include "otel-collector.receiverPorts" $root | fromYamlArray }}
        - name: {{ .name }}
          containerPort: {{ .port }}
          protocol: TCP
        {{- end }}
        {{- if $root.Values.edgeReceiver.enabled }}
        {{- range include "otel-collector.edgePorts" $root | fromYamlArray }}
        - name: {{ .name }}
          containerPort: {{ .containerPort }}
          protocol: TCP
        {{- end }}
        {{- end }}
        {{- else }}
        - name: otlp-grpc
          containerPort: 4317
          protocol: TCP
        {{- end }}
        - name: metrics
          containerPort: 8888
          protocol: TCP
        - name: health
          containerPort: 13133
          protocol: TCP
      startupProbe:
        httpGet:
          path: /
          port: health
        periodSeconds: 1
        failureThreshold: 120
      readinessProbe:
        httpGet:
          path: /
          port: health
        periodSeconds: 5
      livenessProbe:
        httpGet:
          path: /
          port: health
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      lifecycle:
        # The listeners close on SIGTERM; until then the pod leaves the endpoints that clients see.
        preStop:
          sleep:
            seconds: 5
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop:
            - ALL
      volumeMounts:
        - name: config
          mountPath: /etc/otelcol
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- if ($values.persistence).enabled }}
        - name: queue
          mountPath: /var/lib/otelcol
        {{- end }}
        {{- if $values.secretFiles }}
        - name: secrets
          mountPath: /var/run/secrets/otelcol
          readOnly: true
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "otel-collector.name" . }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- with $values.secretFiles }}
    - name: secrets
      projected:
        # The group is the pod's fsGroup.
        defaultMode: 0440
        sources:
          {{- range . }}
          - secret:
              name: {{ .secret }}
              items:
                - key: {{ .key }}
                  path: {{ .path }}
          {{- end }}
    {{- end }}
{{- end }}

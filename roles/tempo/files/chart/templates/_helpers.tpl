{{/* Labels that select the pods of this release. They are immutable, so nothing may be added later. */}}
{{- define "tempo.selector" -}}
app.kubernetes.io/name: tempo
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The image to run: the digest decides where there is one. Argument: the values of image. */}}
{{- define "tempo.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A tag as the value of a label: at most 63 characters, a letter or digit at both ends. */}}
{{- define "tempo.version" -}}
{{- regexReplaceAll "^[_.-]+|[_.-]+$" (trunc 63 .) "" }}
{{- end }}

{{- define "tempo.labels" -}}
{{ include "tempo.selector" . }}
app.kubernetes.io/version: {{ include "tempo.version" .Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The components of the profile, as a JSON list. */}}
{{- define "tempo.components" -}}
{{- if eq .Values.profile "monolithic" -}}
{{- list "all" | toJson -}}
{{- else -}}
{{- $names := list "distributor" "ingester" "querier" "query-frontend" "compactor" -}}
{{- if eq .Values.profile "kafka" -}}
{{- $names = list "distributor" "block-builder" "live-store" "backend-scheduler" "backend-worker" "querier" "query-frontend" -}}
{{- end -}}
{{- if gt (int (index .Values.components "metrics-generator" "replicas")) 0 -}}
{{- $names = append $names "metrics-generator" -}}
{{- end -}}
{{- $names | toJson -}}
{{- end -}}
{{- end }}

{{/* The components that keep a name, and their place in a ring or their partitions with it, as a JSON list. */}}
{{- define "tempo.stateful" -}}
{{- list "ingester" "all" "metrics-generator" "live-store" "block-builder" "backend-scheduler" "backend-worker" | toJson -}}
{{- end }}

{{/* The components that take part in no ring and do not listen for gossip, as a JSON list. */}}
{{- define "tempo.ringless" -}}
{{- list "query-frontend" "backend-scheduler" | toJson -}}
{{- end }}

{{/* The zones of a component's StatefulSets, "" for one that has no zone, as a JSON list. Argument: as for the name. */}}
{{- define "tempo.zones" -}}
{{- if and .root.Values.zones (has .component (list "ingester" "live-store")) }}{{ .root.Values.zones | toJson }}{{ else }}[""]{{ end -}}
{{- end }}

{{/* Name of a component's workload and Service. Argument: a dict of root and component. */}}
{{- define "tempo.componentName" -}}
{{- if eq .component "all" }}{{ .root.Release.Name }}{{ else }}{{ .root.Release.Name }}-{{ .component }}{{ end -}}
{{- end }}

{{/* The pod of a component. Arguments: root, component, spec (the component's values), zone ("" for none). */}}
{{- define "tempo.podTemplate" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $component := .component -}}
{{- $persistent := hasKey .spec "persistence" -}}
{{- $ringless := has $component (include "tempo.ringless" $root | fromJsonArray) -}}
metadata:
  labels:
    {{- include "tempo.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
    {{- if not $ringless }}
    app.kubernetes.io/part-of: memberlist
    {{- end }}
    {{- with .zone }}
    orion.tracing/zone: {{ . }}
    {{- end }}
  annotations:
    checksum/config: {{ toYaml $values.config | sha256sum }}
spec:
  serviceAccountName: {{ $root.Release.Name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .zone }}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
          - matchExpressions:
              - key: topology.kubernetes.io/zone
                operator: In
                values: [{{ . | quote }}]
  {{- end }}
  topologySpreadConstraints:
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ $key }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tempo.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $component }}
    {{- end }}
  terminationGracePeriodSeconds: {{ required (printf "components.%s.terminationGracePeriodSeconds is required" $component) (get $values.components $component).terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    {{- with $values.securityContext }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: tempo
      image: {{ include "tempo.image" $values.image }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: [/tempo]
      args:
        - -config.file=/etc/tempo/config/tempo.yaml
        - -target={{ $component }}
        {{- if $values.expandEnv }}
        - -config.expand-env=true
        {{- end }}
        {{- with .zone }}
        - -{{ ternary "ingester.availability-zone" "live-store.instance-availability-zone" (eq $component "ingester") }}={{ . }}
        {{- end }}
        {{- if has $component (list "distributor" "query-frontend") }}
        # Not ready first, gone later: clients stop choosing this pod before it closes its connections.
        - -shutdown-delay=5s
        {{- end }}
      {{- $credentials := and $values.s3.credentialsSecret (ne $component "distributor") }}
      {{- $kafka := and $values.kafka.saslSecret (has $component (list "distributor" "block-builder" "live-store" "metrics-generator")) }}
      {{- if or $credentials $kafka .spec.goMemLimit $values.environment $values.secretEnvironment $values.ipv6Only }}
      env:
        {{- with .spec.goMemLimit }}
        - name: GOMEMLIMIT
          value: {{ . | quote }}
        {{- end }}
        {{- if $credentials }}
        # The S3 client's credential chain reads these, so the configuration need not hold them.
        - name: AWS_ACCESS_KEY_ID
          valueFrom:
            secretKeyRef:
              name: {{ $values.s3.credentialsSecret }}
              key: access_key
        - name: AWS_SECRET_ACCESS_KEY
          valueFrom:
            secretKeyRef:
              name: {{ $values.s3.credentialsSecret }}
              key: secret_key
        {{- end }}
        {{- if $kafka }}
        {{- range $variable, $key := dict "TEMPO_KAFKA_USERNAME" "username" "TEMPO_KAFKA_PASSWORD" "password" }}
        - name: {{ $variable }}
          valueFrom:
            secretKeyRef:
              name: {{ $values.kafka.saslSecret }}
              key: {{ $key }}
        {{- end }}
        {{- end }}
        {{- if $values.ipv6Only }}
        - name: TEMPO_POD_IP
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
        {{- end }}
        {{- range $name, $value := $values.environment }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- range $name, $source := $values.secretEnvironment }}
        - name: {{ $name }}
          valueFrom:
            secretKeyRef:
              name: {{ $source.secret }}
              key: {{ $source.key }}
        {{- end }}
      {{- end }}
      ports:
        - name: http
          containerPort: 3200
        - name: grpc
          containerPort: 9095
        {{- if not $ringless }}
        - name: gossip
          containerPort: 7946
        {{- end }}
        {{- if has $component (list "distributor" "all") }}
        - name: otlp-grpc
          containerPort: 4317
        - name: otlp-http
          containerPort: 4318
        {{- end }}
      readinessProbe:
        httpGet:
          path: /ready
          port: http
        periodSeconds: 3
        timeoutSeconds: 2
      # /ready stays false while an ingester replays its write-ahead log, or a live-store reads what it missed, which may
      # take minutes, so it cannot say whether the process is alive.
      livenessProbe:
        httpGet:
          path: /status/version
          port: http
        initialDelaySeconds: 30
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- with .spec.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: config
          mountPath: /etc/tempo/config
          readOnly: true
        - name: data
          mountPath: /var/tempo
        {{- if $values.s3.caSecret }}
        - name: s3-ca
          mountPath: /etc/tempo/s3-ca
          readOnly: true
        {{- end }}
        {{- range $index, $name := $values.secretFiles }}
        - name: secret-{{ $index }}
          mountPath: /etc/tempo/secrets/{{ $name }}
          readOnly: true
        {{- end }}
        {{- range $index, $name := $values.configMapFiles }}
        - name: config-map-{{ $index }}
          mountPath: /etc/tempo/config-maps/{{ $name }}
          readOnly: true
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ $root.Release.Name }}-config
    {{- if not $persistent }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- with $values.s3.caSecret }}
    - name: s3-ca
      secret:
        secretName: {{ . }}
        items:
          - key: ca.crt
            path: ca.crt
    {{- end }}
    {{- range $index, $name := $values.secretFiles }}
    - name: secret-{{ $index }}
      secret:
        secretName: {{ $name }}
    {{- end }}
    {{- range $index, $name := $values.configMapFiles }}
    - name: config-map-{{ $index }}
      configMap:
        name: {{ $name }}
    {{- end }}
{{- end }}

{{/* A Service. Arguments: root, alias (in place of the release's name), name, component ("" selects the members of the gossip ring), ports, headless, notReady. */}}
{{- define "tempo.service" -}}
{{- $numbers := dict "otlp-grpc" 4317 "otlp-http" 4318 "http" 3200 "grpc" 9095 "gossip" 7946 -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .alias | default .root.Release.Name }}{{ with .name }}-{{ . }}{{ end }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "tempo.labels" .root | nindent 4 }}
    {{- with .component }}
    app.kubernetes.io/component: {{ . }}
    {{- end }}
spec:
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  {{- if .notReady }}
  publishNotReadyAddresses: true
  {{- end }}
  selector:
    {{- include "tempo.selector" .root | nindent 4 }}
    {{- if .component }}
    app.kubernetes.io/component: {{ .component }}
    {{- else }}
    app.kubernetes.io/part-of: memberlist
    {{- end }}
  ports:
    {{- range .ports }}
    - name: {{ . }}
      port: {{ get $numbers . }}
      targetPort: {{ . }}
    {{- end }}
{{ end }}

{{- $values := .Values.grafana }}
{{- $self := dict "root" . "name" "grafana" }}
{{- define "backends.grafanaSettings" }}
[server]
http_port = 3000
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
feedback_links_enabled = false
[news]
news_feed_enabled = false
[snapshots]
external_enabled = false
[security]
admin_user = admin
disable_gravatar = true
[users]
allow_sign_up = false
[auth.anonymous]
enabled = false
[plugins]
# Of the image's own plugins, which Grafana cannot replace on a read-only root: they would be gone.
preinstall_auto_update = false
preinstall = {{ join "," .plugins }}
{{- end }}
{{- if $values.enabled }}
{{- $settings := include "backends.grafanaSettings" $values | trim }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: grafana
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
data:
  grafana.ini: |
    {{- $settings | nindent 4 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: grafana
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  replicas: 1
  # Its database is a file on the volume.
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
        checksum/config: {{ $settings | sha256sum }}
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
        {{- include "backends.podSecurity" 472 | nindent 8 }}
      containers:
        - name: grafana
          image: {{ include "backends.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/usr/share/grafana/bin/grafana]
          args:
            - server
            - --homepath=/usr/share/grafana
            - --config=/etc/grafana/grafana.ini
            - --packaging=docker
            - cfg:default.log.mode=console
          env:
            # The image has variables for some of these, which go before the settings file.
            - name: GF_PATHS_DATA
              value: /var/lib/grafana
            - name: GF_PATHS_LOGS
              value: /var/lib/grafana/log
            - name: GF_PATHS_PLUGINS
              value: /var/lib/grafana/plugins
            - name: GF_SECURITY_ADMIN_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ $values.secretName }}
                  key: admin_password
            # Secrets of data sources are encrypted with it; the default is known to everybody.
            - name: GF_SECURITY_SECRET_KEY
              valueFrom:
                secretKeyRef:
                  name: {{ $values.secretName }}
                  key: secret_key
            - name: GOMEMLIMIT
              value: {{ include "backends.goMemLimit" $values.resources.limits.memory }}
          ports:
            - name: http
              containerPort: 3000
          # The first start makes the tables of its database.
          startupProbe:
            httpGet: &probe
              path: /api/health
              port: http
            periodSeconds: 1
            failureThreshold: 240
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
              mountPath: /etc/grafana/grafana.ini
              subPath: grafana.ini
              readOnly: true
            - name: data
              mountPath: /var/lib/grafana
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: config
          configMap:
            name: grafana
        - name: data
          persistentVolumeClaim:
            claimName: grafana
        - name: tmp
          emptyDir:
            sizeLimit: 64Mi
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: grafana
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
---
apiVersion: v1
kind: Service
metadata:
  name: grafana
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  type: NodePort
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: http
      port: 3000
      targetPort: http
      nodePort: {{ $values.nodePort }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: grafana
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # From anywhere, the node port included: Grafana asks for a password.
    - ports:
        - port: http
  egress:
    - ports:
        - port: 53
          protocol: UDP
        - port: 53
          protocol: TCP
        # Plugins, from grafana.com
        - port: 443
          protocol: TCP
    # Prometheus, VictoriaLogs, Jaeger and Tempo
    - to:
        - namespaceSelector:
            matchExpressions:
              - key: kubernetes.io/metadata.name
                operator: In
                values: {{ prepend .Values.prometheus.scrapeNamespaces .Release.Namespace | uniq | toJson }}
      ports:
        - port: 9090
        - port: 9428
        - port: 16686
        - port: 3200
{{- end }}

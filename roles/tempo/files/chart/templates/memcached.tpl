{{- if .Values.memcached.replicas }}
{{- /* Not "tempo.selector": NetworkPolicies and Services of Tempo must not select it. */}}
{{- $selector := dict "app.kubernetes.io/name" "tempo-memcached" "app.kubernetes.io/instance" .Release.Name }}
{{- $labels := merge (dict "app.kubernetes.io/component" "memcached" "app.kubernetes.io/version" (include "tempo.version" .Values.memcached.image.tag) "app.kubernetes.io/managed-by" .Release.Service "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version)) $selector }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-memcached
  namespace: {{ .Release.Namespace }}
  labels:
    {{- toYaml $labels | nindent 4 }}
spec:
  replicas: {{ .Values.memcached.replicas }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- toYaml $labels | nindent 8 }}
    spec:
      serviceAccountName: {{ .Release.Name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ $key }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- toYaml $selector | nindent 14 }}
        {{- end }}
      securityContext:
        runAsNonRoot: true
        {{- if .Values.securityContext.runAsUser }}
        # The image's user has a name, and "not root" is checked by number.
        runAsUser: 11211
        runAsGroup: 11211
        {{- end }}
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: memcached
          image: {{ include "tempo.image" .Values.memcached.image }}
          command: [/usr/local/bin/memcached]
          args:
            - --memory-limit={{ int .Values.memcached.memoryMib }}
            # Parts of blocks and results of searches are larger than memcached's default of 1 MiB.
            - --max-item-size=5m
            - --conn-limit=16384
          ports:
            - name: memcached
              containerPort: 11211
          readinessProbe:
            tcpSocket:
              port: memcached
            periodSeconds: 3
          livenessProbe:
            tcpSocket:
              port: memcached
            initialDelaySeconds: 30
            periodSeconds: 10
            failureThreshold: 6
          {{- with .Values.memcached.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-memcached
  namespace: {{ .Release.Namespace }}
  labels:
    {{- toYaml $labels | nindent 4 }}
spec:
  # Tempo spreads keys over the pods itself.
  clusterIP: None
  selector:
    {{- toYaml $selector | nindent 4 }}
  ports:
    - name: memcached
      port: 11211
      targetPort: memcached
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .Release.Name }}-memcached
  namespace: {{ .Release.Namespace }}
  labels:
    {{- toYaml $labels | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
{{- if .Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-memcached
  namespace: {{ .Release.Namespace }}
  labels:
    {{- toYaml $labels | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    # memcached has no authentication: Tempo's own pods alone.
    - from:
        - podSelector:
            matchLabels:
              {{- include "tempo.selector" . | nindent 14 }}
      ports:
        - port: memcached
{{- end }}
{{- end }}

{{- $values := .Values.postgresql }}
{{- $self := dict "root" . "name" "postgresql" "values" $values }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: postgresql
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  serviceName: postgresql
  replicas: 1
  # OrderedReady would never replace a pod whose image cannot be pulled, not even by one with a better image:
  # https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
  podManagementPolicy: Parallel
  # The data is invented, so it goes with the release.
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: Delete
    whenScaled: Retain
  selector:
    matchLabels:
      {{- include "demo.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "demo.labels" $self | nindent 8 }}
      {{- with .Values.imagesRevision }}
      annotations:
        checksum/images: {{ . | quote }}
      {{- end }}
    spec:
      {{- include "demo.pod" . | nindent 6 }}
      containers:
        - name: postgresql
          image: {{ include "demo.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/opt/postgresql/start]
          args:
            - -c
            - shared_buffers=32MB
            - -c
            - max_connections=50
          env:
            - name: PGDATA
              value: /var/lib/postgresql/data
            - name: POSTGRES_USER
              value: shop
            - name: POSTGRES_DB
              value: shop
            - name: POSTGRES_PASSWORD_FILE
              value: /etc/postgresql-password/password
          ports:
            - name: postgresql
              containerPort: 5432
          {{- include "demo.probes" (dict "handler" (dict "tcpSocket" (dict "port" "postgresql")) "startSeconds" 120) | nindent 10 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "demo.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: /var/lib/postgresql
            - name: password
              mountPath: /etc/postgresql-password
              readOnly: true
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: password
          secret:
            secretName: {{ $values.secretName }}
            defaultMode: 0440
        # The server's socket
        - name: tmp
          emptyDir:
            sizeLimit: 16Mi
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
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
  name: postgresql
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  selector:
    {{- include "demo.selector" $self | nindent 4 }}
  ports:
    - name: postgresql
      port: 5432
      targetPort: postgresql
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: postgresql
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "demo.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchExpressions:
              - key: app.kubernetes.io/name
                operator: In
                values: [orders, fulfilment, pricing]
      ports:
        - port: postgresql
  egress: []

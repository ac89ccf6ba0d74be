{{- /* The five services. section: of the values, with image and resources. inject: the language whose agent is injected.
environment: beyond what uses gives. uses: which of the database and Kafka. */}}
{{- define "demo.services" -}}
storefront:
  section: storefront
  inject: nodejs
  environment: {GATEWAY_URL: "http://gateway"}
  nodePort: {{ .Values.storefront.nodePort }}
gateway:
  section: python
  inject: python
  environment: {ORDERS_URL: "http://orders"}
  nodePort: {{ .Values.gateway.nodePort }}
orders:
  section: python
  inject: python
  environment: {PRICING_URL: "http://pricing"}
  uses: [database, kafka]
fulfilment:
  section: python
  inject: python
  uses: [database, kafka]
pricing:
  section: pricing
  inject: java
  environment: {FULFILMENT_URL: "http://fulfilment"}
  uses: [jdbc, kafka]
{{- end }}

{{- range $name, $service := include "demo.services" . | fromYaml }}
{{- $values := index $.Values $service.section }}
{{- $self := dict "root" $ "name" $name "values" $values }}
{{- $uses := $service.uses | default list }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  replicas: 1
  selector:
    matchLabels:
      {{- include "demo.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "demo.labels" $self | nindent 8 }}
      annotations:
        instrumentation.opentelemetry.io/inject-{{ $service.inject }}: "true"
        {{- with $.Values.imagesRevision }}
        checksum/images: {{ . | quote }}
        {{- end }}
    spec:
      {{- include "demo.pod" $ | nindent 6 }}
      containers:
        - name: {{ $name }}
          image: {{ include "demo.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- if eq $service.section "python" }}
          command: [/usr/bin/python3]
          args: [-m, {{ $name }}]
          {{- else if eq $service.section "storefront" }}
          command: [/usr/bin/node]
          args: [/app/server.js]
          {{- else }}
          command: [/opt/java/bin/java]
          args:
            - -XX:+UseSerialGC
            - -XX:TieredStopAtLevel=1
            - -XX:MaxRAMPercentage=50
            - -cp
            - /app/classes:/app/lib/*
            - orion.shop.pricing.PricingApplication
          {{- end }}
          env:
            {{- range $variable, $value := $service.environment }}
            - name: {{ $variable }}
              value: {{ $value | quote }}
            {{- end }}
            {{- if has "kafka" $uses }}
            - name: KAFKA_BOOTSTRAP_SERVERS
              value: kafka:9092
            {{- end }}
            {{- if has "jdbc" $uses }}
            - name: SPRING_DATASOURCE_URL
              value: jdbc:postgresql://postgresql/shop
            - name: SPRING_DATASOURCE_USERNAME
              value: shop
            - name: SPRING_DATASOURCE_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ $.Values.postgresql.secretName }}
                  key: password
            {{- end }}
            {{- if has "database" $uses }}
            - name: POSTGRES_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ $.Values.postgresql.secretName }}
                  key: password
            - name: DATABASE_URL
              value: postgresql://shop:$(POSTGRES_PASSWORD)@postgresql/shop
            {{- end }}
          ports:
            - name: http
              containerPort: 8080
          {{- include "demo.probes" (dict "handler" (dict "httpGet" (dict "path" "/healthz" "port" "http")) "startSeconds" 240) | nindent 10 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "demo.containerSecurity" $ | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 64Mi
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  {{- if $service.nodePort }}
  type: NodePort
  {{- end }}
  selector:
    {{- include "demo.selector" $self | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
      {{- with $service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "demo.selector" $self | nindent 6 }}
  # Egress is open: where spans go to is up to the instrumentation.
  policyTypes: [Ingress]
  ingress:
    # From anywhere: node ports and the API server's service proxy have no pod.
    - ports:
        - port: http
{{- end }}

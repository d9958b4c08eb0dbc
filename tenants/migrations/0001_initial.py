import django.contrib.auth.models
import django.contrib.auth.validators
import django.core.validators
import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
import tenants.models.base
import tenants.models.tenant
import voiceplatform.lib.ids
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='User',
            fields=[
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'verbose_name': 'user',
                'verbose_name_plural': 'users',
                'abstract': False,
            },
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='DefaultRate',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('stt', 'speech to text'), ('llm', 'language model'), ('tts', 'text to speech')], max_length=10)),
                ('provider', models.CharField(help_text='As the provider catalogue calls it, e.g. google.', max_length=40)),
                ('model', models.CharField(blank=True, help_text='Empty: every model of this provider without a rate.', max_length=80)),
                ('unit', models.CharField(choices=[('second', 'seconds'), ('input_token', 'input tokens'), ('cached_input_token', 'cached input tokens'), ('output_token', 'output tokens'), ('character', 'characters')], max_length=20)),
                ('price', models.DecimalField(decimal_places=6, help_text='E.g. 0.75 for 1000000 tokens.', max_digits=18, validators=[django.core.validators.MinValueValidator(0)])),
                ('per', models.DecimalField(decimal_places=6, default=Decimal('1'), help_text='How many units the price is for, e.g. 1000000 tokens or 60 seconds.', max_digits=18, validators=[django.core.validators.MinValueValidator(Decimal('0.000001'))])),
                ('currency', models.CharField(default='USD', max_length=3, validators=[django.core.validators.RegexValidator('^[A-Z]{3}$', 'Use an ISO code of three capital letters, such as USD or EUR.')])),
                ('effective_from', models.DateTimeField(help_text='Usage from this moment on costs this much.')),
                ('source', models.CharField(help_text='Where the price comes from, e.g. vendor price page, 2026-11-22.', max_length=200)),
            ],
            options={
                'ordering': ['kind', 'provider', 'model', 'unit', '-effective_from'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('kind', 'provider', 'model', 'unit', 'effective_from'), name='defaultrate_once'), models.CheckConstraint(condition=models.Q(('per__gt', 0), ('price__gte', 0)), name='defaultrate_sane')],
            },
        ),
        migrations.CreateModel(
            name='Tenant',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(help_text='As staff and invoices call it, e.g. Bright Smile Dental.', max_length=120, unique=True)),
                ('slug', models.SlugField(help_text='Short name for commands and file names, e.g. bright-smile.', max_length=60, unique=True)),
                ('status', models.CharField(choices=[('trial', 'trial'), ('active', 'active'), ('suspended', 'suspended'), ('closing', 'closing'), ('purged', 'purged')], default='trial', editable=False, max_length=9)),
                ('timezone', models.CharField(default='UTC', help_text='Agents tell dates and times in this zone, e.g. America/Chicago.', max_length=64, validators=[tenants.models.tenant.validate_timezone])),
                ('currency', models.CharField(default='USD', help_text='ISO code all costs are shown in, e.g. USD.', max_length=3, validators=[django.core.validators.RegexValidator('^[A-Z]{3}$', 'Use an ISO code of three capital letters, such as USD or EUR.')])),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('agency', models.ForeignKey(blank=True, help_text='The agency this tenant is a customer of; empty for an agency or a direct customer.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name'],
                'permissions': [('see_all_tenants', 'Can see every tenant'), ('suspend_tenant', 'Can suspend and activate tenants')],
            },
        ),
        migrations.CreateModel(
            name='OutboxSequence',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('object_type', models.CharField(max_length=40)),
                ('object_id', models.UUIDField()),
                ('last', models.PositiveBigIntegerField()),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='OutboxEvent',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('topic', models.CharField(max_length=60)),
                ('object_type', models.CharField(max_length=40)),
                ('object_id', models.UUIDField()),
                ('sequence', models.PositiveBigIntegerField()),
                ('data', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField()),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='OutboxDelivery',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('subscriber', models.CharField(max_length=80)),
                ('object_type', models.CharField(max_length=40)),
                ('object_id', models.UUIDField()),
                ('sequence', models.PositiveBigIntegerField()),
                ('status', models.CharField(choices=[('pending', 'pending'), ('done', 'done'), ('dead', 'dead')], default='pending', max_length=7)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_at', models.DateTimeField()),
                ('lease', models.UUIDField(blank=True, null=True)),
                ('leased_until', models.DateTimeField(blank=True, null=True)),
                ('last_error', models.TextField(blank=True)),
                ('settled_at', models.DateTimeField(blank=True, null=True)),
                ('event', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='tenants.outboxevent')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'verbose_name_plural': 'outbox deliveries',
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(choices=[('owner', 'owner'), ('admin', 'admin'), ('operator', 'operator'), ('analyst', 'analyst'), ('viewer', 'viewer')], default='viewer', max_length=8)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('action', models.CharField(max_length=80)),
                ('target_type', models.CharField(max_length=80)),
                ('target_id', models.UUIDField()),
                ('actor_id', models.UUIDField(blank=True, help_text='The user; empty for the platform itself.', null=True)),
                ('fields', models.JSONField(default=list)),
                ('data', models.JSONField(default=dict)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('at', models.DateTimeField()),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'ordering': ['-at'],
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='TenantFeature',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('feature_key', models.CharField(max_length=80)),
                ('enabled', models.BooleanField()),
                ('config', models.JSONField(blank=True, default=dict)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'ordering': ['feature_key'],
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='TenantLimits',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('max_open_calls', models.PositiveIntegerField(default=10, help_text='Calls that may be waiting or running at once, e.g. 10. 0 allows none.')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'limits',
                'verbose_name_plural': 'limits',
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='TenantRate',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('stt', 'speech to text'), ('llm', 'language model'), ('tts', 'text to speech')], max_length=10)),
                ('provider', models.CharField(help_text='As the provider catalogue calls it, e.g. google.', max_length=40)),
                ('model', models.CharField(blank=True, help_text='Empty: every model of this provider without a rate.', max_length=80)),
                ('unit', models.CharField(choices=[('second', 'seconds'), ('input_token', 'input tokens'), ('cached_input_token', 'cached input tokens'), ('output_token', 'output tokens'), ('character', 'characters')], max_length=20)),
                ('price', models.DecimalField(decimal_places=6, help_text='E.g. 0.75 for 1000000 tokens.', max_digits=18, validators=[django.core.validators.MinValueValidator(0)])),
                ('per', models.DecimalField(decimal_places=6, default=Decimal('1'), help_text='How many units the price is for, e.g. 1000000 tokens or 60 seconds.', max_digits=18, validators=[django.core.validators.MinValueValidator(Decimal('0.000001'))])),
                ('currency', models.CharField(default='USD', max_length=3, validators=[django.core.validators.RegexValidator('^[A-Z]{3}$', 'Use an ISO code of three capital letters, such as USD or EUR.')])),
                ('effective_from', models.DateTimeField(help_text='Usage from this moment on costs this much.')),
                ('source', models.CharField(help_text='Where the price comes from, e.g. vendor price page, 2026-11-22.', max_length=200)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'ordering': ['kind', 'provider', 'model', 'unit', '-effective_from'],
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='UsageRecord',
            fields=[
                ('id', models.UUIDField(default=voiceplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('subject_type', models.CharField(max_length=40)),
                ('subject_id', models.UUIDField()),
                ('source', models.CharField(blank=True, help_text='Who measured it, when a subject has several meters.', max_length=80)),
                ('kind', models.CharField(choices=[('stt', 'speech to text'), ('llm', 'language model'), ('tts', 'text to speech')], max_length=10)),
                ('provider', models.CharField(max_length=40)),
                ('model', models.CharField(max_length=80)),
                ('unit', models.CharField(choices=[('second', 'seconds'), ('input_token', 'input tokens'), ('cached_input_token', 'cached input tokens'), ('output_token', 'output tokens'), ('character', 'characters')], max_length=20)),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('cost', models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True)),
                ('rate_price', models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True)),
                ('rate_per', models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True)),
                ('rate_currency', models.CharField(blank=True, max_length=3)),
                ('rate_source', models.CharField(blank=True, max_length=200)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'all_objects',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('all_objects', django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('agency', None), models.Q(('agency', models.F('id')), _negated=True), _connector='OR'), name='tenant_not_its_own_agency'),
        ),
        migrations.AddConstraint(
            model_name='outboxsequence',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='outboxsequence_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='outboxsequence',
            constraint=models.UniqueConstraint(fields=('tenant', 'object_type', 'object_id'), name='outboxsequence_once'),
        ),
        migrations.AddConstraint(
            model_name='outboxevent',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='outboxevent_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='outboxevent',
            constraint=models.UniqueConstraint(fields=('tenant', 'object_type', 'object_id', 'sequence'), name='outboxevent_sequence_once'),
        ),
        migrations.AddIndex(
            model_name='outboxdelivery',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['next_at'], name='outboxdelivery_due'),
        ),
        migrations.AddIndex(
            model_name='outboxdelivery',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['tenant', 'subscriber', 'object_type', 'object_id', 'sequence'], name='outboxdelivery_order'),
        ),
        migrations.AddIndex(
            model_name='outboxdelivery',
            index=models.Index(condition=models.Q(('status', 'dead')), fields=['tenant', '-next_at'], name='outboxdelivery_dead'),
        ),
        migrations.AddConstraint(
            model_name='outboxdelivery',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='outboxdelivery_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='outboxdelivery',
            constraint=tenants.models.base.TenantForeignKey(field='event', name='outboxdelivery_event_same_tenant'),
        ),
        migrations.AddConstraint(
            model_name='outboxdelivery',
            constraint=models.UniqueConstraint(fields=('tenant', 'event', 'subscriber'), name='outboxdelivery_once'),
        ),
        migrations.AddConstraint(
            model_name='outboxdelivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('settled_at', None), ('status', 'pending')), models.Q(models.Q(('status', 'pending'), _negated=True), ('settled_at__isnull', False)), _connector='OR'), name='outboxdelivery_settled_iff_not_pending'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='membership_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('tenant', 'user'), name='membership_once', violation_error_message='Already a member.'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['tenant', '-at'], name='auditevent_by_time'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['tenant', 'target_type', 'target_id', '-at'], name='auditevent_by_target'),
        ),
        migrations.AddConstraint(
            model_name='auditevent',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='auditevent_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='tenantfeature',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='tenantfeature_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='tenantfeature',
            constraint=models.UniqueConstraint(fields=('tenant', 'feature_key'), name='tenantfeature_once'),
        ),
        migrations.AddConstraint(
            model_name='tenantlimits',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='tenantlimits_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='tenantlimits',
            constraint=models.UniqueConstraint(fields=('tenant',), name='tenantlimits_once'),
        ),
        migrations.AddConstraint(
            model_name='tenantrate',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='tenantrate_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='tenantrate',
            constraint=models.UniqueConstraint(fields=('tenant', 'kind', 'provider', 'model', 'unit', 'effective_from'), name='tenantrate_once'),
        ),
        migrations.AddConstraint(
            model_name='tenantrate',
            constraint=models.CheckConstraint(condition=models.Q(('per__gt', 0), ('price__gte', 0)), name='tenantrate_sane'),
        ),
        migrations.AddConstraint(
            model_name='usagerecord',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='usagerecord_tenant_key'),
        ),
        migrations.AddConstraint(
            model_name='usagerecord',
            constraint=models.UniqueConstraint(fields=('tenant', 'subject_type', 'subject_id', 'kind', 'provider', 'model', 'unit', 'source'), name='usagerecord_once'),
        ),
        migrations.AddConstraint(
            model_name='usagerecord',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gte', 0)), name='usagerecord_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='usagerecord',
            constraint=models.CheckConstraint(condition=models.Q(('cost', None), models.Q(('rate_per__gt', 0), ('rate_price__isnull', False), models.Q(('rate_currency', ''), _negated=True)), _connector='OR'), name='usagerecord_cost_has_rate'),
        ),
    ]

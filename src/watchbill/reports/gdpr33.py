"""Notification of a breach to the supervisory authority (GDPR 33): nature, categories, numbers, contact, consequences, measures, reasons for delay."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """GDPR 33(3), with the reasons of 33(1) where it is late."""

    profile = Profile(
        id="gdpr33",
        en="Notification of a personal data breach",
        zh="个人数据泄露通知（监管机构）",
        to="supervisory_authority",
        intro_en="Under Article 33 of Regulation (EU) 2016/679 we notify the following personal data breach. What is not known yet follows in phases (Article 33(4)).",
        intro_zh="根据欧盟第2016/679号条例第三十三条，现通知下列个人数据泄露事件。尚不清楚的情况将分阶段补充（第三十三条第四款）。",
        fields=(
            Field(
                "controller", "GDPR 33(3)", "GDPR 第33条第3款", "Controller", "数据控制者", source="settings", of="name"
            ),
            Field(
                "nature",
                "GDPR 33(3)(a)",
                "GDPR 第33条第3款(a)",
                "Nature of the breach",
                "泄露的性质",
                source="ledger",
                of="cause",
            ),
            Field(
                "categories",
                "GDPR 33(3)(a)",
                "GDPR 第33条第3款(a)",
                "Categories of data subjects and records",
                "数据主体和记录的类别",
                source="ledger",
                of="categories",
            ),
            Field(
                "numbers",
                "GDPR 33(3)(a)",
                "GDPR 第33条第3款(a)",
                "Approximate numbers",
                "大致数量",
                source="ledger",
                of="numbers",
            ),
            Field("span", "GDPR 33(3)(a)", "GDPR 第33条第3款(a)", "When", "时间", source="ledger", of="span"),
            Field(
                "aware",
                "GDPR 33(1)",
                "GDPR 第33条第1款",
                "When we became aware",
                "知悉时间",
                source="ledger",
                of="aware",
            ),
            Field(
                "dpo",
                "GDPR 33(3)(b)",
                "GDPR 第33条第3款(b)",
                "Data protection officer or other contact",
                "数据保护官或其他联络点",
                source="settings",
                of="dpo",
                contact=True,
            ),
            Field("likely_harm", "GDPR 33(3)(c)", "GDPR 第33条第3款(c)", "Likely consequences", "可能的后果"),
            Field(
                "measures",
                "GDPR 33(3)(d)",
                "GDPR 第33条第3款(d)",
                "Measures taken",
                "已采取的措施",
                source="ledger",
                of="measures",
            ),
            Field(
                "further_measures",
                "GDPR 33(3)(d)",
                "GDPR 第33条第3款(d)",
                "Measures proposed",
                "拟采取的措施",
                needed="never",
            ),
            Field(
                "delay_reason",
                "GDPR 33(1)",
                "GDPR 第33条第1款",
                "Reasons for the delay beyond 72 hours",
                "超过72小时的理由",
                needed="late",
            ),
        ),
    )
    text_en, text_zh = profile.en, profile.zh

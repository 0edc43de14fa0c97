using System;
using System.Globalization;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;

namespace GameApi.Tests
{
    internal static class ModelTests
    {
        private static readonly Attributes Mixed =
            new Attributes { ["map"] = "dust", ["level"] = 5, ["seed"] = long.MaxValue, ["speed"] = 0.5, ["ranked"] = true };

        public static async Task Every_member_of_a_player_is_written_and_read()
        {
            var create = new PlayerCreate(Service.Unique("full"))
            {
                PlayerId = Service.Unique("id"),
                DisplayName = "Full",
                Region = "eu-central-1",
                Rating = 1234,
                Attributes = Mixed,
            };
            Player player = await Service.Client.CreatePlayerAsync(create);
            Check.SameSet(Document.MembersOf("PlayerCreate"), SentMembers(), "body");
            Json.CheckSame(Service.Wire.ReceivedBody, player, "player");
            Json.CheckSame(Json.Parse(Service.Wire.SentBody), create, "create");

            var update = new PlayerUpdate
            {
                Username = Service.Unique("new"),
                DisplayName = "New",
                Region = "us-east-1",
                Rating = 99,
                Attributes = new Attributes { ["map"] = "aztec" },
            };
            player = await Service.Client.UpdatePlayerAsync(player.PlayerId, update);
            Check.SameSet(Document.MembersOf("PlayerUpdate"), SentMembers(), "body");
            Json.CheckSame(Service.Wire.ReceivedBody, player, "player");
            Check.Equal("us-east-1 99 aztec", player.Region + " " + player.Rating + " " + player.Attributes["map"].AsString);
        }

        public static async Task Every_member_of_a_session_is_written_and_read()
        {
            Player host = await PlayerTests.CreateAsync();
            var create = new SessionCreate(Service.Unique("full"), "duel", 4)
            {
                MinPlayers = 1,
                Region = "eu-central-1",
                Visibility = Visibility.Private,
                JoinInProgress = true,
                HostPlayerId = host.PlayerId,
                Attributes = Mixed,
            };
            Session session = await Service.Client.CreateSessionAsync(create);
            Check.SameSet(Document.MembersOf("SessionCreate"), SentMembers(), "body");
            Json.CheckSame(Service.Wire.ReceivedBody, session, "session");
            Json.CheckSame(Json.Parse(Service.Wire.SentBody), create, "create");

            var update = new SessionUpdate
            {
                Status = SessionStatus.Starting,
                Name = "New",
                MaxPlayers = 8,
                MinPlayers = 1,
                Region = "us-east-1",
                Visibility = Visibility.Public,
                JoinInProgress = false,
                HostPlayerId = host.PlayerId,
                Server = new GameServer("192.0.2.1", 7777),
                Attributes = Mixed,
            };
            session = await Service.Client.UpdateSessionAsync(session.SessionId, update);
            Check.SameSet(Document.MembersOf("SessionUpdate"), SentMembers(), "body");
            Json.CheckSame(Service.Wire.ReceivedBody, session, "session");
            Check.Equal("starting New 8 192.0.2.1", session.Status + " " + session.Name + " " + session.MaxPlayers + " " + session.Server.Address);

            await Service.Client.UpdateSessionAsync(session.SessionId, new SessionUpdate { Status = SessionStatus.Active });
            session = await Service.Client.UpdateSessionAsync(session.SessionId, new SessionUpdate { Status = SessionStatus.Ended });
            Json.CheckSame(Service.Wire.ReceivedBody, session, "session");
            Check.True(session.StartedAt <= session.EndedAt, "the times of the match are set and in order");
        }

        public static async Task Every_member_of_a_member_and_of_the_health_is_read()
        {
            Session session = await SessionTests.CreateAsync(2);
            Player player = await PlayerTests.CreateAsync();
            await Service.Client.JoinSessionAsync(session.SessionId, player.PlayerId, new SessionJoin { Team = "red" });
            Check.SameSet(Document.MembersOf("SessionJoin"), SentMembers(), "body");
            var update = new MemberUpdate { Ready = true, Team = "blue" };
            session = await Service.Client.UpdateMemberAsync(session.SessionId, player.PlayerId, update);
            Check.SameSet(Document.MembersOf("MemberUpdate"), SentMembers(), "body");
            Json.CheckSame(Service.Wire.ReceivedBody, session, "session");
            Check.Equal("blue True", session.Members[0].Team + " " + session.Members[0].Ready);

            Json.CheckSame(await HealthBodyAsync(), await Service.Client.GetHealthAsync(), "health");
        }

        public static async Task Attributes_keep_their_kinds()
        {
            var create = new PlayerCreate(Service.Unique("kinds")) { Attributes = Mixed };
            Attributes read = (await Service.Client.CreatePlayerAsync(create)).Attributes;
            foreach (string key in Mixed.Keys)
            {
                Check.Equal(Mixed[key], read[key], key);
            }
            Check.Equal("dust", read["map"].AsString);
            Check.Equal(5L, read["level"].AsInteger);
            Check.Equal(5.0, read["level"].AsNumber);
            Check.Equal(long.MaxValue, read["seed"].AsInteger);
            Check.Equal(0.5, read["speed"].AsNumber);
            Check.Equal(null, read["speed"].AsInteger);
            Check.Equal(true, read["ranked"].AsBoolean);
            Check.Equal(null, read["ranked"].AsString);
        }

        public static async Task A_text_that_looks_like_a_time_stays_a_text()
        {
            const string time = "2026-11-22T19:00:00.123+01:00";
            var create = new PlayerCreate(Service.Unique("time")) { Attributes = new Attributes { ["at"] = time } };
            Check.Equal(time, (await Service.Client.CreatePlayerAsync(create)).Attributes["at"].AsString);
        }

        public static async Task The_culture_of_the_player_changes_nothing()
        {
            CultureInfo before = Thread.CurrentThread.CurrentCulture;
            try
            {
                Thread.CurrentThread.CurrentCulture = new CultureInfo("de-DE");
                Check.Equal("0.5", ((AttributeValue)0.5).ToString());
                var create = new PlayerCreate(Service.Unique("culture")) { Attributes = new Attributes { ["speed"] = 0.5 } };
                Player player = await Service.Client.CreatePlayerAsync(create);
                Check.Equal(0.5, player.Attributes["speed"].AsNumber);
                Check.Equal(TimeSpan.Zero, player.CreatedAt.Offset);
            }
            finally
            {
                Thread.CurrentThread.CurrentCulture = before;
            }
        }

        public static async Task Members_and_values_that_are_new_do_not_break_the_client()
        {
            JObject json = await SessionBodyAsync();
            json["status"] = "paused";
            json["visibility"] = "friends";
            json["brand_new"] = new JObject { ["deep"] = new JArray(1, null) };
            json["attributes"] = new JObject { ["known"] = 1, ["new"] = new JArray(1, 2) };
            using (var server = new ScriptedServer(ScriptedServer.Reply("200 OK", json.ToString())))
            {
                Session session = await server.Client().GetSessionAsync("x");
                Check.Equal("paused", session.Status.Value);
                Check.True(session.Status == new SessionStatus("paused") && !session.Status.IsLive, "a new status is compared");
                Check.Equal("friends", session.Visibility.Value);
                Check.Equal(1L, session.Attributes["known"].AsInteger);
                Check.Equal(null, session.Attributes["new"].AsString);
            }
        }

        public static Task An_attribute_is_never_null_or_infinite()
        {
            string nothing = null;
            return Task.WhenAll(
                Check.Throws<ArgumentNullException>(() => Task.FromResult(new Attributes { ["x"] = nothing })),
                Check.Throws<ArgumentOutOfRangeException>(() => Task.FromResult(new Attributes { ["x"] = double.NaN })));
        }

        private static string[] SentMembers() =>
            new System.Collections.Generic.List<JProperty>(Json.Parse(Service.Wire.SentBody).Properties())
                .ConvertAll(member => member.Name).ToArray();

        private static async Task<JObject> HealthBodyAsync()
        {
            await Service.Client.GetHealthAsync();
            return Service.Wire.ReceivedBody;
        }

        private static async Task<JObject> SessionBodyAsync()
        {
            await SessionTests.CreateAsync(2);
            return Service.Wire.ReceivedBody;
        }
    }
}
